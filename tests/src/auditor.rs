//! The audit of a store, through its port.

use retouch_ports::store::{Account, Seen};
use retouch_ports::{JobStore, PortError};

/// Every contradiction in the store, as text.
///
/// # Errors
/// As the store's.
pub async fn findings(store: &dyn JobStore) -> Result<Vec<String>, PortError> {
    let mut found = Vec::new();
    let mut see = |seen: Seen<'_>| {
        if let Seen::Finding(finding) = seen {
            found.push(finding.to_string());
        }
    };
    Account::audit(store, &mut see).await?;
    Ok(found)
}
