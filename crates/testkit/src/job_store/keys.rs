//! The keys of the API.

use std::sync::Arc;
use std::time::Duration;

use retouch_domain::{KeyId, Scope, Timestamp};
use retouch_ports::store::{KeyDigest, NewKey, Page};
use retouch_ports::{Ids, JobStore, PortErrorKind};

use super::desk::{Desk, HOUR};

type Store = Arc<dyn JobStore>;

fn new_key(desk: &Desk, scope: Scope, expires_at: Option<Timestamp>) -> NewKey {
    let id = KeyId::new(desk.ids.uuid());
    let mut digest = [0; 32];
    digest[..16].copy_from_slice(id.uuid().as_bytes());
    NewKey {
        id,
        tenant: desk.tenant,
        name: "of a test, đúng".to_owned(),
        scope,
        digest: KeyDigest(digest),
        expires_at,
    }
}

/// A key is found by its digest until it expires or is revoked.
pub async fn a_key_is_found_while_it_is_in_force(store: Store) {
    let desk = Desk::new(store.clone());
    let now = store.now().await.unwrap();
    let lasting = new_key(&desk, Scope::Write, None);
    let later = new_key(&desk, Scope::Read, Some(now + HOUR));
    let past = new_key(&desk, Scope::Admin, Some(now - Duration::from_secs(1)));
    for key in [&lasting, &later, &past] {
        store.add_key(key).await.unwrap();
    }
    let found = store.key_in_force(&lasting.digest).await.unwrap().unwrap();
    assert_eq!((found.id, found.tenant, found.scope), (lasting.id, desk.tenant, Scope::Write));
    assert_eq!((found.name, found.expires_at, found.revoked_at), (lasting.name.clone(), None, None));
    let found = store.key_in_force(&later.digest).await.unwrap().unwrap();
    assert_eq!((found.id, found.expires_at), (later.id, later.expires_at));
    assert_eq!(store.key_in_force(&past.digest).await.unwrap(), None);
    assert_eq!(store.key_in_force(&KeyDigest([7; 32])).await.unwrap(), None);
    store.revoke_key(desk.tenant, lasting.id).await.unwrap();
    assert_eq!(store.key_in_force(&lasting.digest).await.unwrap(), None);
}

/// A tenant lists and revokes its own keys only; a revoked key keeps its first moment.
pub async fn keys_are_their_tenants(store: Store) {
    let (desk, other) = (Desk::new(store.clone()), Desk::new(store.clone()));
    let keys = [(); 3].map(|()| new_key(&desk, Scope::Admin, None));
    for key in &keys {
        store.add_key(key).await.unwrap();
    }
    let first = store.keys(desk.tenant, Page { after: None, limit: 2 }).await.unwrap();
    assert_eq!(first.iter().map(|key| key.id).collect::<Vec<_>>(), [keys[0].id, keys[1].id]);
    let rest = store.keys(desk.tenant, Page { after: Some(keys[1].id), limit: 2 }).await.unwrap();
    assert_eq!(rest.iter().map(|key| key.id).collect::<Vec<_>>(), [keys[2].id]);
    assert_eq!(store.keys(other.tenant, Page { after: None, limit: 2 }).await.unwrap(), []);
    let error = store.revoke_key(other.tenant, keys[0].id).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::NotFound, "{error}");
    assert!(store.key_in_force(&keys[0].digest).await.unwrap().is_some());
    let revoked = async || {
        store.revoke_key(desk.tenant, keys[0].id).await.unwrap();
        store.keys(desk.tenant, Page { after: None, limit: 1 }).await.unwrap()[0].revoked_at.unwrap()
    };
    let at = revoked().await;
    assert_eq!(revoked().await, at);
}

/// Neither an id nor a digest is used twice, and a name has its limit.
pub async fn a_key_is_stored_once(store: Store) {
    let desk = Desk::new(store.clone());
    let key = new_key(&desk, Scope::Read, None);
    store.add_key(&key).await.unwrap();
    let other = new_key(&desk, Scope::Read, None);
    for twice in [NewKey { id: key.id, ..other.clone() }, NewKey { digest: key.digest, ..other.clone() }] {
        let error = store.add_key(&twice).await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Conflict, "{error}");
    }
    for name in ["x".repeat(201), "a\0b".to_owned()] {
        let error = store.add_key(&NewKey { name, ..other.clone() }).await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Invalid, "{error}");
    }
}
