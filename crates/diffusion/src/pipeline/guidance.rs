//! Which branches of the network a row needs, and how they add up.
//!
//! Three-branch guidance of InstructPix2Pix (Brooks et al. 2023, arXiv 2211.09800, eq. 3), rearranged by branch:
//! ε = s_T·ε(I,T) + (s_I − s_T)·ε(I,∅) + (1 − s_I)·ε(∅,∅). A branch whose coefficient is exactly 0 is not evaluated.

use tch::Tensor;

/// What one evaluation of the network is conditioned on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Branch {
    /// Text and, when editing, image.
    Full,
    /// Image, with the negative prompt as text. Only when editing.
    Image,
    /// The negative prompt alone.
    None,
}

/// Branches with their coefficients, in the order of [`Branch`].
pub(super) type Branches = Vec<(Branch, f64)>;

/// Branches of an edit. Guidance is off for s_T ≤ 1 or s_I < 1, as in diffusers v0.42.1
/// `pipeline_stable_diffusion_instruct_pix2pix.py` `do_classifier_free_guidance`.
pub(super) fn edit(text: f64, image: f64) -> Branches {
    if text <= 1.0 || image < 1.0 {
        return vec![(Branch::Full, 1.0)];
    }
    pruned([(Branch::Full, text), (Branch::Image, image - text), (Branch::None, 1.0 - image)])
}

/// Branches of text-to-image with classic guidance, off for s_T ≤ 1.
pub(super) fn generate(text: f64) -> Branches {
    if text <= 1.0 {
        return vec![(Branch::Full, 1.0)];
    }
    pruned([(Branch::Full, text), (Branch::None, 1.0 - text)])
}

fn pruned<const N: usize>(branches: [(Branch, f64); N]) -> Branches {
    branches.into_iter().filter(|(_, coefficient)| *coefficient != 0.0).collect()
}

/// Gives `branches` an entry of coefficient 0 for each of `others` that it lacks: evaluated because another row of the
/// gang takes its attention from it.
pub(super) fn extend(branches: &mut Branches, others: &Branches) {
    for (branch, _) in others {
        if !branches.iter().any(|(own, _)| own == branch) {
            branches.push((*branch, 0.0));
        }
    }
    branches.sort_by_key(|(branch, _)| *branch);
}

/// The weighted sum of `parts [branches, C, h, w]`, as `[1, C, h, w]`.
pub(super) fn combine(parts: &Tensor, branches: &Branches) -> Tensor {
    if let [(_, 1.0)] = branches.as_slice() {
        return parts.shallow_clone();
    }
    let weights: Vec<f32> = branches.iter().map(|(_, c)| *c as f32).collect();
    let weights = Tensor::from_slice(&weights).to_device(parts.device()).view([-1, 1, 1, 1]);
    (parts * weights).sum_dim_intlist([0i64].as_slice(), true, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_coefficients_are_pruned_and_guidance_switches_off() {
        let names = |b: Branches| b.into_iter().map(|(b, _)| b).collect::<Vec<_>>();
        assert_eq!(names(edit(7.5, 1.5)), [Branch::Full, Branch::Image, Branch::None]);
        assert_eq!(names(edit(7.5, 1.0)), [Branch::Full, Branch::Image]);
        assert_eq!(names(edit(1.5, 1.5)), [Branch::Full, Branch::None]);
        assert_eq!(edit(1.0, 1.5), [(Branch::Full, 1.0)]);
        assert_eq!(edit(7.5, 0.9), [(Branch::Full, 1.0)]);
        assert_eq!(names(generate(7.5)), [Branch::Full, Branch::None]);
        assert_eq!(generate(1.0), [(Branch::Full, 1.0)]);
    }

    #[test]
    fn coefficients_add_up_to_one() {
        for (text, image) in [(7.5, 1.5), (2.0, 2.0), (3.0, 1.0), (0.5, 0.5)] {
            let sum: f64 = edit(text, image).iter().map(|(_, c)| c).sum();
            assert!((sum - 1.0).abs() < 1e-12);
        }
    }
}
