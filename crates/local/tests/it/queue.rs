//! The in-process queue.

use std::sync::Arc;

use retouch_local::LocalQueue;
use retouch_ports::JobQueue;

#[tokio::test(flavor = "multi_thread")]
async fn the_suite() {
    retouch_testkit::queue::suite(async || Arc::new(LocalQueue::default()) as Arc<dyn JobQueue>).await;
}
