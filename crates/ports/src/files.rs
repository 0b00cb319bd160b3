//! Where the files of jobs stand in the blob store.

use retouch_domain::{BatchId, TenantId};

use crate::BlobKey;
use crate::store::Fence;

/// What the keys of everything of a batch begin with.
pub fn batch_folder(tenant: TenantId, batch: BatchId) -> String {
    format!("jobs/{tenant}/{batch}/")
}

/// What the keys of everything that a run writes begin with: no other run of the job writes there.
pub fn run_folder(tenant: TenantId, batch: BatchId, run: Fence) -> String {
    format!("{}{}/{}/", batch_folder(tenant, batch), run.job, run.epoch)
}

/// The key of a file that a tenant brought, by the name that the tenant knows it by; `None` if that is no name. A name is
/// one segment: it cannot lead to files of others.
pub fn tenant_file(tenant: TenantId, name: &str) -> Option<BlobKey> {
    if name.contains('/') {
        return None;
    }
    format!("files/{tenant}/{name}").parse().ok()
}

#[cfg(test)]
mod tests {
    use retouch_domain::JobId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_run_has_a_folder_of_its_own_within_its_batch() {
        let id = Uuid::from_u128(7);
        let folder =
            |epoch| run_folder(TenantId::new(id), BatchId::new(id), Fence { job: JobId::new(id), epoch });
        assert!(folder(1).starts_with(&batch_folder(TenantId::new(id), BatchId::new(id))));
        assert!(!folder(10).starts_with(&folder(1)));
        assert!(format!("{}result.png", folder(1)).parse::<BlobKey>().is_ok());
    }

    #[test]
    fn a_name_leads_to_no_file_of_others() {
        let tenant = TenantId::new(Uuid::from_u128(7));
        assert_eq!(tenant_file(tenant, "photo.png").unwrap().as_str(), format!("files/{tenant}/photo.png"));
        for name in ["", "..", "../other/photo", "a/b", ".hidden", "a b"] {
            assert_eq!(tenant_file(tenant, name), None, "{name}");
        }
    }
}
