//! Text on images, in GNU Unifont: a bitmap font that has Vietnamese.

use retouch_imaging::RgbImage;

/// Pixels between the top of one line and the next.
pub(super) const LINE: u32 = 17;
/// Width of most letters.
const LETTER: u32 = 8;

/// Splits text into lines of at most `width` pixels, between words where it can.
pub(super) fn wrapped(text: &str, width: u32) -> Vec<String> {
    let most = (width / LETTER).max(1) as usize;
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let length = |text: &str| text.chars().count();
        let last = lines.last_mut().expect("there is one from the start");
        if !last.is_empty() && length(last) + 1 + length(word) > most {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

/// Writes one line, its upper left corner at a point; what does not fit is cut.
pub(super) fn write(image: &mut RgbImage, line: &str, (left, top): (u32, u32), colour: [u8; 3]) {
    let mut column = left;
    for letter in line.chars() {
        let Some(glyph) = unifont::get_glyph(letter).or_else(|| unifont::get_glyph('?')) else { continue };
        let width = glyph.get_width() as u32;
        for (x, y) in (0..16).flat_map(|y| (0..width).map(move |x| (x, y))) {
            let (to_x, to_y) = (column + x, top + y);
            if glyph.get_pixel(x as usize, y as usize) && to_x < image.width() && to_y < image.height() {
                image.get_pixel_mut(to_x, to_y).0 = colour;
            }
        }
        column += width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("di chuyển quả bóng", 90), ["di chuyển", "quả bóng"]);
        assert_eq!(wrapped("unbreakable", 8), ["unbreakable"]);
        assert_eq!(wrapped("", 80), [""]);
    }

    #[test]
    fn vietnamese_letters_have_their_own_pictures() {
        let drawn = |text: &str| {
            let mut image = RgbImage::new(8, 16);
            write(&mut image, text, (0, 0), [255; 3]);
            image
        };
        let letters = "aăâáàảãạắằẳẵặấầẩẫậđêếềểễệôốồổỗộơớờởỡợưứừửữựýỳỷỹỵ?";
        let pictures: std::collections::HashSet<Vec<u8>> =
            letters.chars().map(|letter| drawn(&letter.to_string()).into_raw()).collect();
        assert_eq!(pictures.len(), letters.chars().count());
    }
}
