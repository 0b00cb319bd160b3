//! Webhooks and the deliveries to them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use retouch_domain::webhook::{MAX_URL_BYTES, MAX_WAITING_TESTS, MAX_WEBHOOKS};
use retouch_domain::{
    Band, BatchId, DeliveryRuling, DeliveryState, Disabled, ErrorCode, EventId, JobError, Loss, WebhookId,
    WebhookKind,
};
use retouch_ports::store::{
    AttemptEnded, DeliveryFence, DeliveryRecord, DueDelivery, NewWebhook, Page, WebhookSecret,
};
use retouch_ports::{Ids, JobStore, PortErrorKind};
use serde_json::json;

use super::desk::{Desk, HOUR};

type Store = Arc<dyn JobStore>;
const ALL: Page<EventId> = Page { after: None, limit: 100 };

fn new_webhook(desk: &Desk, kinds: &[WebhookKind]) -> NewWebhook {
    let id = WebhookId::new(desk.ids.uuid());
    let mut secret = [7; 32];
    secret[..16].copy_from_slice(id.uuid().as_bytes());
    NewWebhook {
        id,
        tenant: desk.tenant,
        url: format!("https://example.com/{id}?q=đúng"),
        kinds: kinds.to_vec(),
        secret: WebhookSecret(secret),
    }
}

async fn add(desk: &Desk, kinds: &[WebhookKind]) -> NewWebhook {
    let webhook = new_webhook(desk, kinds);
    desk.store.add_webhook(&webhook).await.unwrap();
    webhook
}

async fn claim(desk: &Desk, lease: Duration) -> Vec<DueDelivery> {
    desk.store.claim_deliveries(lease, 100, 100).await.unwrap()
}

async fn deliveries(desk: &Desk, webhook: &NewWebhook) -> Vec<DeliveryRecord> {
    desk.store.deliveries(desk.tenant, webhook.id, ALL).await.unwrap()
}

async fn end(desk: &Desk, fence: &DeliveryFence, ruling: DeliveryRuling) -> Option<Disabled> {
    let failed = (ruling != DeliveryRuling::Delivered).then(|| JobError {
        code: ErrorCode::new("webhook_status"),
        message: "status 500, không".to_owned(),
    });
    let status = Some(if failed.is_some() { 500 } else { 204 });
    let ended = AttemptEnded { fence: fence.clone(), ruling, status, error: failed };
    desk.store.end_attempt(&ended).await.unwrap()
}

/// A batch of one job that failed, over.
async fn failed_batch(desk: &Desk) -> BatchId {
    let (batch, _) = desk.submit(1).await;
    let run = desk.start().await.remove(0);
    desk.fail(run.fence, Loss::Permanent).await;
    desk.store.fold(10).await.unwrap();
    batch
}

async fn test(desk: &Desk, webhook: &NewWebhook) -> EventId {
    let event = EventId::of_test(desk.ids.uuid());
    desk.store.add_test(desk.tenant, webhook.id, &event).await.unwrap();
    event
}

/// A tenant sees, changes and deletes its own webhooks only, and no record has a secret.
pub async fn webhooks_are_their_tenants(store: Store) {
    let (desk, other) = (Desk::new(store.clone()), Desk::new(store.clone()));
    let mut added = Vec::new();
    for _ in 0..3 {
        added.push(add(&desk, &WebhookKind::CHOICE).await);
    }
    let first = store.webhooks(desk.tenant, Page { after: None, limit: 2 }).await.unwrap();
    assert_eq!(first.iter().map(|found| found.id).collect::<Vec<_>>(), [added[0].id, added[1].id]);
    let rest = store.webhooks(desk.tenant, Page { after: Some(added[1].id), limit: 2 }).await.unwrap();
    assert_eq!((rest.len(), rest[0].id), (1, added[2].id));
    let found = store.webhook(desk.tenant, added[0].id).await.unwrap().unwrap();
    assert_eq!((&found.url, &found.kinds[..]), (&added[0].url, &WebhookKind::CHOICE[..]));
    assert_eq!((found.tenant, found.disabled, found.previous_until), (desk.tenant, None, None));
    let event = test(&desk, &added[0]).await;

    let id = added[0].id;
    assert_eq!(store.webhooks(other.tenant, Page { after: None, limit: 2 }).await.unwrap(), []);
    assert_eq!(store.webhook(other.tenant, id).await.unwrap(), None);
    assert_eq!(store.deliveries(other.tenant, id, ALL).await.unwrap(), []);
    assert_eq!(store.delivery(other.tenant, id, &event).await.unwrap(), None);
    let secret = WebhookSecret([9; 32]);
    let fresh = EventId::of_test(desk.ids.uuid());
    for outcome in [
        store.rotate_secret(other.tenant, id, &secret, HOUR).await,
        store.disable_webhook(other.tenant, id).await,
        store.enable_webhook(other.tenant, id).await,
        store.delete_webhook(other.tenant, id).await,
        store.add_test(other.tenant, id, &fresh).await,
        store.redeliver(other.tenant, id, &event).await,
        store.redeliver(desk.tenant, id, &fresh).await,
    ] {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::NotFound, "{error}");
    }
    store.delete_webhook(desk.tenant, id).await.unwrap();
    assert_eq!(store.webhook(desk.tenant, id).await.unwrap(), None);
    assert_eq!(store.delivery(desk.tenant, id, &event).await.unwrap(), None);
    assert_eq!(claim(&desk, HOUR).await, []);
}

/// A tenant has so many webhooks at most, also when it adds them at once, and each has its limits.
pub async fn webhooks_keep_their_limits(store: Store) {
    let desk = Desk::new(store.clone());
    let mut tasks = Vec::new();
    for _ in 0..MAX_WEBHOOKS + 4 {
        let (store, webhook) = (store.clone(), new_webhook(&desk, &WebhookKind::CHOICE));
        tasks.push(tokio::spawn(async move { store.add_webhook(&webhook).await }));
    }
    let mut refused = 0;
    for task in tasks {
        if let Err(error) = task.await.unwrap() {
            assert_eq!(error.kind(), PortErrorKind::Conflict, "{error}");
            refused += 1;
        }
    }
    assert_eq!(refused, 4);
    let other = Desk::new(store.clone());
    let webhook = add(&other, &WebhookKind::CHOICE).await;
    let again = store.add_webhook(&webhook).await.unwrap_err();
    assert_eq!(again.kind(), PortErrorKind::Conflict, "{again}");
    for url in ["x".repeat(MAX_URL_BYTES + 1), "a\0b".to_owned()] {
        let error = store.add_webhook(&NewWebhook { url, ..webhook.clone() }).await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Invalid, "{error}");
    }
    for _ in 0..MAX_WAITING_TESTS {
        test(&other, &webhook).await;
    }
    let event = EventId::of_test(other.ids.uuid());
    let error = store.add_test(other.tenant, webhook.id, &event).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Conflict, "{error}");
}

/// The end of a batch is told once to each webhook of its tenant that wants it, and the end after a retry once more.
pub async fn the_end_of_a_batch_is_told_once(store: Store) {
    let (desk, other) = (Desk::new(store.clone()), Desk::new(store.clone()));
    let wants = [add(&desk, &WebhookKind::CHOICE).await, add(&desk, &[WebhookKind::BatchCompleted]).await];
    let wants_not = [add(&desk, &[WebhookKind::BatchCanceled]).await, add(&desk, &WebhookKind::CHOICE).await];
    let strange = add(&other, &WebhookKind::CHOICE).await;
    store.disable_webhook(desk.tenant, wants_not[1].id).await.unwrap();

    let batch = failed_batch(&desk).await;
    assert_eq!(store.fold(10).await.unwrap(), []);
    for webhook in &wants {
        let found = deliveries(&desk, webhook).await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].event, EventId::of_batch(batch, 1));
        assert_eq!((found[0].kind, found[0].state), (WebhookKind::BatchCompleted, DeliveryState::Pending));
        let counts = json!({"total": 1, "succeeded": 0, "failed": 1, "canceled": 0, "expired": 0});
        let data =
            json!({"batch": batch.to_string(), "state": "completed", "generation": 1, "counts": counts});
        assert_eq!(found[0].data, data);
        assert_eq!((found[0].attempts, found[0].ended_at, &found[0].error), (0, None, &None));
    }
    for webhook in &wants_not {
        assert_eq!(deliveries(&desk, webhook).await, []);
    }
    assert_eq!(deliveries(&other, &strange).await, []);

    assert_eq!(store.retry_batch(desk.tenant, batch).await.unwrap(), 1);
    let run = desk.start().await.remove(0);
    desk.commit(&[run.fence]).await;
    let over = store.fold(10).await.unwrap();
    assert_eq!((over.len(), over[0].generation), (1, 2));
    let events: Vec<_> = deliveries(&desk, &wants[0]).await.into_iter().map(|found| found.event).collect();
    assert_eq!(events, [EventId::of_batch(batch, 2), EventId::of_batch(batch, 1)]);
    desk.assert_sound().await;
}

/// A batch that is called off, and one whose loading is given up, are told as what they are; one that is deleted is not.
pub async fn every_end_is_told_as_what_it_is(store: Store) {
    let desk = Desk::new(store.clone());
    let webhook = add(&desk, &WebhookKind::CHOICE).await;
    let (canceled, _) = desk.submit(2).await;
    store.cancel_batch(desk.tenant, canceled).await.unwrap();
    store.fold(10).await.unwrap();
    let loading = desk.new_batch(Band::Bulk);
    store.begin_loading(&loading).await.unwrap();
    store.abandon(desk.tenant, loading.id).await.unwrap();
    store.abandon(desk.tenant, loading.id).await.unwrap();
    let done = failed_batch(&desk).await;
    store.delete_batch(desk.tenant, done).await.unwrap();
    let found = deliveries(&desk, &webhook).await;
    let told: Vec<_> = found.iter().map(|found| (found.kind, found.event.clone())).collect();
    let expected = [
        (WebhookKind::BatchCompleted, EventId::of_batch(done, 1)),
        (WebhookKind::BatchFailed, EventId::of_batch(loading.id, 1)),
        (WebhookKind::BatchCanceled, EventId::of_batch(canceled, 1)),
    ];
    assert_eq!(told, expected);
    let after = Page { after: Some(told[0].1.clone()), limit: 1 };
    let next = store.deliveries(desk.tenant, webhook.id, after).await.unwrap();
    assert_eq!(next, found[1..2]);
}

/// Many who fold while many commit tell of each batch once.
pub async fn folding_at_once_tells_once(store: Store) {
    let desk = Desk::new(store);
    let webhook = add(&desk, &WebhookKind::CHOICE).await;
    for _ in 0..5 {
        desk.submit(4).await;
    }
    let fences: Vec<_> = desk.start().await.iter().map(|run| run.fence).collect();
    desk.commit_while_folding(&fences).await;
    assert_eq!(deliveries(&desk, &webhook).await.len(), 5);
}

/// A due delivery is one scheduler's until its lease ends, and then the next one's; whoever is late changes nothing.
pub async fn a_delivery_is_claimed_by_one(store: Store) {
    let desk = Desk::new(store.clone());
    let webhook = add(&desk, &WebhookKind::CHOICE).await;
    let event = test(&desk, &webhook).await;
    let first = claim(&desk, Duration::ZERO).await.remove(0);
    assert_eq!(first.fence, DeliveryFence { webhook: webhook.id, event: event.clone(), epoch: 1 });
    assert_eq!((first.tenant, &first.url, first.attempt), (desk.tenant, &webhook.url, 1));
    assert_eq!((first.kind, &first.secrets), (WebhookKind::Test, &vec![webhook.secret.clone()]));
    assert_eq!(first.data, json!({"webhook": webhook.id.to_string()}));
    let second = claim(&desk, HOUR).await.remove(0);
    assert_eq!((second.fence.epoch, second.attempt, second.created_at), (2, 2, first.created_at));
    assert_eq!(claim(&desk, HOUR).await, []);
    end(&desk, &first.fence, DeliveryRuling::GivenUp).await;
    let found = store.delivery(desk.tenant, webhook.id, &event).await.unwrap().unwrap();
    assert_eq!((found.state, found.status), (DeliveryState::Pending, None));
    end(&desk, &second.fence, DeliveryRuling::Delivered).await;
    end(&desk, &second.fence, DeliveryRuling::GivenUp).await;
    let found = store.delivery(desk.tenant, webhook.id, &event).await.unwrap().unwrap();
    assert_eq!((found.state, found.status, &found.error), (DeliveryState::Delivered, Some(204), &None));
    assert!(found.ended_at.is_some() && found.due_at.is_none());
}

/// Many schedulers at once: each delivery is claimed by one of them, and one webhook does not take every place.
pub async fn many_schedulers_claim_each_delivery_once(store: Store) {
    let desk = Desk::new(store.clone());
    let busy = add(&desk, &WebhookKind::CHOICE).await;
    for _ in 0..MAX_WAITING_TESTS {
        test(&desk, &busy).await;
    }
    let quiet = add(&desk, &WebhookKind::CHOICE).await;
    test(&desk, &quiet).await;
    let claimed = store.claim_deliveries(Duration::ZERO, 4, 3).await.unwrap();
    assert_eq!(claimed.iter().filter(|due| due.fence.webhook == quiet.id).count(), 1);
    let mut tasks = Vec::new();
    for _ in 0..6 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claimed = store.claim_deliveries(HOUR, 2, 2).await.unwrap();
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed);
            }
        }));
    }
    let mut events = Vec::new();
    for task in tasks {
        events.extend(task.await.unwrap().into_iter().map(|due| due.fence.event));
    }
    // Whoever found rows locked by another may have gone home before that one let go of them.
    events.extend(claim(&desk, HOUR).await.into_iter().map(|due| due.fence.event));
    assert_eq!(events.len(), MAX_WAITING_TESTS as usize + 1);
    assert_eq!(events.into_iter().collect::<HashSet<_>>().len(), MAX_WAITING_TESTS as usize + 1);
}

/// What failed is due after its wait, with its error on record, until its owner asks once more.
pub async fn a_failed_attempt_is_tried_again(store: Store) {
    let desk = Desk::new(store.clone());
    let webhook = add(&desk, &WebhookKind::CHOICE).await;
    let event = test(&desk, &webhook).await;
    let first = claim(&desk, HOUR).await.remove(0);
    assert_eq!(end(&desk, &first.fence, DeliveryRuling::Again(Duration::ZERO)).await, None);
    let second = claim(&desk, HOUR).await.remove(0);
    assert_eq!(second.attempt, 2);
    assert_eq!(end(&desk, &second.fence, DeliveryRuling::Again(HOUR)).await, None);
    assert_eq!(claim(&desk, HOUR).await, []);
    let found = store.delivery(desk.tenant, webhook.id, &event).await.unwrap().unwrap();
    assert_eq!((found.state, found.attempts, found.status), (DeliveryState::Pending, 2, Some(500)));
    assert_eq!(found.error.unwrap().code.as_str(), "webhook_status");
    assert!(found.due_at.unwrap() > store.now().await.unwrap() + HOUR / 2);
    store.redeliver(desk.tenant, webhook.id, &event).await.unwrap();
    let third = claim(&desk, HOUR).await.remove(0);
    assert_eq!((third.attempt, &third.fence.event), (1, &event));
    assert!(third.fence.epoch > second.fence.epoch);
    end(&desk, &third.fence, DeliveryRuling::Delivered).await;
    assert_eq!(claim(&desk, HOUR).await, []);
    store.redeliver(desk.tenant, webhook.id, &event).await.unwrap();
    assert_eq!(claim(&desk, HOUR).await.len(), 1);
}

/// An endpoint that is gone, or took nothing for a whole schedule, is disabled: what waits is held until it is enabled.
pub async fn what_is_disabled_is_sent_nothing(store: Store) {
    let desk = Desk::new(store.clone());
    let webhook = add(&desk, &WebhookKind::CHOICE).await;
    let disabled = async || {
        let found = store.webhook(desk.tenant, webhook.id).await.unwrap().unwrap();
        found.disabled.map(|(reason, _)| reason)
    };
    for (ruling, reason) in
        [(DeliveryRuling::Gone, Disabled::Gone), (DeliveryRuling::GivenUp, Disabled::Failing)]
    {
        test(&desk, &webhook).await;
        let due = claim(&desk, HOUR).await.remove(0);
        let waiting = test(&desk, &webhook).await;
        assert_eq!(end(&desk, &due.fence, ruling).await, Some(reason));
        assert_eq!(disabled().await, Some(reason));
        let found = store.delivery(desk.tenant, webhook.id, &due.fence.event).await.unwrap().unwrap();
        assert_eq!(found.state, DeliveryState::Failed);
        let found = store.delivery(desk.tenant, webhook.id, &waiting).await.unwrap().unwrap();
        assert_eq!((found.state, found.due_at), (DeliveryState::Pending, None));
        assert_eq!(claim(&desk, HOUR).await, []);
        store.disable_webhook(desk.tenant, webhook.id).await.unwrap();
        assert_eq!(disabled().await, Some(reason), "the first reason stays");
        failed_batch(&desk).await;
        store.enable_webhook(desk.tenant, webhook.id).await.unwrap();
        assert_eq!(disabled().await, None);
        let due = claim(&desk, HOUR).await;
        assert!(due.iter().any(|due| due.fence.event == waiting));
        assert!(due.iter().all(|due| due.kind == WebhookKind::Test), "what happened meanwhile is not told");
        for due in &due {
            end(&desk, &due.fence, DeliveryRuling::Again(HOUR)).await;
        }
    }
    store.disable_webhook(desk.tenant, webhook.id).await.unwrap();
    assert_eq!(disabled().await, Some(Disabled::ByOwner));
    store.enable_webhook(desk.tenant, webhook.id).await.unwrap();
    // What takes something is not disabled because another message was given up.
    for ruling in [DeliveryRuling::Delivered, DeliveryRuling::GivenUp] {
        let event = test(&desk, &webhook).await;
        let claimed = claim(&desk, HOUR).await;
        let due = claimed.iter().find(|due| due.fence.event == event).unwrap();
        assert_eq!(end(&desk, &due.fence, ruling).await, None);
    }
    assert_eq!(disabled().await, None);
}

/// A new secret signs at once and the one before it for its time; one before that no longer.
pub async fn a_secret_is_rotated(store: Store) {
    let desk = Desk::new(store.clone());
    let webhook = add(&desk, &WebhookKind::CHOICE).await;
    test(&desk, &webhook).await;
    let secrets = async || claim(&desk, Duration::ZERO).await.remove(0).secrets;
    let rotate = async |byte: u8, overlap: Duration| {
        let secret = WebhookSecret([byte; 32]);
        store.rotate_secret(desk.tenant, webhook.id, &secret, overlap).await.unwrap();
        secret
    };
    let second = rotate(2, HOUR).await;
    assert_eq!(secrets().await, [second.clone(), webhook.secret.clone()]);
    let record = store.webhook(desk.tenant, webhook.id).await.unwrap().unwrap();
    assert!(record.previous_until.unwrap() > store.now().await.unwrap() + HOUR / 2);
    let third = rotate(3, HOUR).await;
    assert_eq!(secrets().await, [third, second]);
    let fourth = rotate(4, Duration::ZERO).await;
    assert_eq!(secrets().await.as_slice(), std::slice::from_ref(&fourth));
    assert!(!format!("{fourth:?} {webhook:?}").contains("4, 4"));
}

/// Old deliveries are forgotten once they are over, or their webhook takes nothing any more.
pub async fn old_deliveries_are_forgotten(store: Store) {
    let desk = Desk::new(store.clone());
    let webhook = add(&desk, &WebhookKind::CHOICE).await;
    for _ in 0..2 {
        test(&desk, &webhook).await;
    }
    let due = claim(&desk, HOUR).await;
    end(&desk, &due[0].fence, DeliveryRuling::Delivered).await;
    assert_eq!(store.forget_deliveries(HOUR, 10).await.unwrap(), 0);
    assert_eq!(store.forget_deliveries(Duration::ZERO, 10).await.unwrap(), 1);
    assert_eq!(deliveries(&desk, &webhook).await.len(), 1);
    store.disable_webhook(desk.tenant, webhook.id).await.unwrap();
    assert_eq!(store.forget_deliveries(Duration::ZERO, 10).await.unwrap(), 1);
    assert_eq!(deliveries(&desk, &webhook).await, []);
}
