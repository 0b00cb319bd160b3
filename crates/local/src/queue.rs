//! A broker inside the process. What a consumer holds comes again when the consumer is dropped, as with a lost connection.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use retouch_domain::{Band, Pool};
use retouch_ports::queue::{
    Consumer, Delivery, Depth, JobQueue, Message, Published, QueueKey, REDELIVERY_LIMIT, Receipt, Result,
};
use retouch_ports::{PortError, PortErrorKind};
use tokio::sync::Notify;

/// The queues of one process. Clones share them.
#[derive(Clone, Default)]
pub struct LocalQueue {
    broker: Arc<Broker>,
}

#[derive(Default)]
struct Broker {
    queues: Mutex<HashMap<Place, Queue>>,
}

/// Where a message waits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Queue(QueueKey),
    Parking,
}

#[derive(Default)]
struct Queue {
    ready: VecDeque<Waiting>,
    /// What consumers hold, by consumer and then in the order of delivery.
    held: HashMap<u64, BTreeMap<u64, Waiting>>,
    /// Counts consumers and deliveries.
    next_id: u64,
    /// Told when a message or room for one may be there.
    changed: Arc<Notify>,
}

#[derive(Clone)]
struct Waiting {
    message: Message,
    returns: u32,
}

impl Queue {
    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

impl Broker {
    /// Nothing below leaves the queues half changed, so a panic elsewhere does no harm.
    fn queues(&self) -> MutexGuard<'_, HashMap<Place, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a consumer held goes back to the front, or to the parked messages.
    fn release(&self, place: &Place, consumer: u64) {
        let mut queues = self.queues();
        let Some(queue) = queues.get_mut(place) else { return };
        let mut parked = Vec::new();
        for (_, mut waiting) in queue.held.remove(&consumer).unwrap_or_default().into_iter().rev() {
            waiting.returns += 1;
            // A parked message has no further place to go to.
            if waiting.returns > REDELIVERY_LIMIT && *place != Place::Parking {
                parked.push(Waiting { message: waiting.message, returns: 0 });
            } else {
                queue.ready.push_front(waiting);
            }
        }
        queue.changed.notify_waiters();
        if let Some(parking) = queues.get_mut(&Place::Parking) {
            parking.ready.extend(parked.into_iter().rev());
            parking.changed.notify_waiters();
        }
    }
}

impl LocalQueue {
    fn consumer(&self, place: Place, prefetch: NonZeroU16) -> Result<Box<dyn Consumer>> {
        let mut queues = self.broker.queues();
        let Some(queue) = queues.get_mut(&place) else {
            let name = match &place {
                Place::Queue(key) => key.to_string(),
                Place::Parking => "for parked messages".to_owned(),
            };
            let text = format!("there is no queue {name}; declare its pool first");
            return Err(PortError::new(PortErrorKind::NotFound, text));
        };
        let id = queue.id();
        queue.held.insert(id, BTreeMap::new());
        let changed = queue.changed.clone();
        Ok(Box::new(LocalConsumer {
            broker: self.broker.clone(),
            place,
            id,
            prefetch: usize::from(prefetch.get()),
            changed,
        }))
    }
}

#[async_trait]
impl JobQueue for LocalQueue {
    async fn declare(&self, pool: &Pool) -> Result<()> {
        let mut queues = self.broker.queues();
        queues.entry(Place::Parking).or_default();
        for band in Band::ALL {
            queues.entry(Place::Queue(QueueKey { pool: pool.clone(), band })).or_default();
        }
        Ok(())
    }

    async fn publish(&self, pool: &Pool, messages: &[Message]) -> Result<Vec<Published>> {
        let mut queues = self.broker.queues();
        let mut publish = |message: &Message| {
            let key = QueueKey { pool: pool.clone(), band: message.band() };
            let Some(queue) = queues.get_mut(&Place::Queue(key)) else { return Published::Returned };
            queue.ready.push_back(Waiting { message: message.clone(), returns: 0 });
            queue.changed.notify_waiters();
            Published::Confirmed
        };
        Ok(messages.iter().map(&mut publish).collect())
    }

    async fn consume(&self, queue: &QueueKey, prefetch: NonZeroU16) -> Result<Box<dyn Consumer>> {
        self.consumer(Place::Queue(queue.clone()), prefetch)
    }

    async fn consume_parked(&self, prefetch: NonZeroU16) -> Result<Box<dyn Consumer>> {
        self.broker.queues().entry(Place::Parking).or_default();
        self.consumer(Place::Parking, prefetch)
    }

    async fn depth(&self, queue: &QueueKey) -> Result<Option<Depth>> {
        let queues = self.broker.queues();
        let queue = queues.get(&Place::Queue(queue.clone()));
        Ok(queue.map(|queue| Depth { ready: queue.ready.len() as u64, consumers: queue.held.len() as u64 }))
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }
}

struct LocalConsumer {
    broker: Arc<Broker>,
    place: Place,
    id: u64,
    prefetch: usize,
    changed: Arc<Notify>,
}

impl LocalConsumer {
    fn try_next(&self) -> Option<Delivery> {
        let mut queues = self.broker.queues();
        let queue = queues.get_mut(&self.place)?;
        if queue.held.get(&self.id)?.len() >= self.prefetch {
            return None;
        }
        let waiting = queue.ready.pop_front()?;
        let delivery = queue.id();
        queue.held.get_mut(&self.id)?.insert(delivery, waiting.clone());
        let receipt = LocalReceipt {
            broker: self.broker.clone(),
            place: self.place.clone(),
            consumer: self.id,
            delivery,
        };
        Some(Delivery::new(waiting.message, waiting.returns > 0, Box::new(receipt)))
    }
}

#[async_trait]
impl Consumer for LocalConsumer {
    async fn next(&mut self) -> Result<Delivery> {
        loop {
            let changed = self.changed.clone();
            let changed = changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that what comes right after it is not missed.
            changed.as_mut().enable();
            if let Some(delivery) = self.try_next() {
                return Ok(delivery);
            }
            changed.await;
        }
    }
}

impl Drop for LocalConsumer {
    fn drop(&mut self) {
        self.broker.release(&self.place, self.id);
    }
}

struct LocalReceipt {
    broker: Arc<Broker>,
    place: Place,
    consumer: u64,
    delivery: u64,
}

#[async_trait]
impl Receipt for LocalReceipt {
    async fn ack(self: Box<Self>) -> Result<bool> {
        let mut queues = self.broker.queues();
        let Some(queue) = queues.get_mut(&self.place) else { return Ok(false) };
        let held = queue.held.get_mut(&self.consumer);
        let removed = held.is_some_and(|held| held.remove(&self.delivery).is_some());
        queue.changed.notify_waiters();
        Ok(removed)
    }
}
