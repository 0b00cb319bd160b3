//! A run as its executor sees it: how far it is, and whether it is to stop.

use std::sync::atomic::{AtomicU64, Ordering};

use retouch_domain::Band;
use retouch_ports::store::Fence;
use tokio::sync::watch;

/// Why a run is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Answer with [`Outcome::HandedOver`](crate::executor::Outcome::HandedOver), or finish if that is as quick.
    HandOver,
    /// Answer with [`Outcome::Canceled`](crate::executor::Outcome::Canceled).
    Cancel,
    /// It has run longer than it may. Whatever is answered but a result, it ends as a timeout.
    TimedOut,
    /// The run is somebody else's: nothing that is answered has an effect.
    Lost,
}

/// What a run's executor and its heartbeat share.
#[derive(Debug)]
pub struct RunHandle {
    fence: Fence,
    band: Band,
    /// Steps done in the upper half, steps in all in the lower.
    progress: AtomicU64,
    stop: watch::Sender<Option<Stop>>,
    device: watch::Sender<Device>,
}

/// How far a run's way onto the device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Device {
    Away,
    Asked,
    Recorded,
}

impl RunHandle {
    /// The handle of a run that was just claimed from this band.
    pub fn new(fence: Fence, band: Band) -> Self {
        let (stop, _) = watch::channel(None);
        let (device, _) = watch::channel(Device::Away);
        Self { fence, band, progress: AtomicU64::new(0), stop, device }
    }

    /// The run.
    pub const fn fence(&self) -> Fence {
        self.fence
    }

    /// The band that its ticket came from.
    pub const fn band(&self) -> Band {
        self.band
    }

    /// Says how far the run is, for those who watch; `steps` is 0 while not known.
    pub fn progress(&self, step: u32, steps: u32) {
        self.progress.store(u64::from(step) << 32 | u64::from(steps), Ordering::Relaxed);
    }

    /// What [`Self::progress`] was told last: steps done, steps in all.
    pub fn reported(&self) -> (u32, u32) {
        let packed = self.progress.load(Ordering::Relaxed);
        // Each half is one of the two numbers.
        ((packed >> 32) as u32, packed as u32)
    }

    /// Whether and why the run is to stop.
    pub fn stop(&self) -> Option<Stop> {
        *self.stop.borrow()
    }

    /// Waits until the run is to stop.
    pub async fn stopped(&self) -> Stop {
        let mut stop = self.stop.subscribe();
        loop {
            if let Some(stop) = *stop.borrow_and_update() {
                return stop;
            }
            if stop.changed().await.is_err() {
                return Stop::Lost;
            }
        }
    }

    /// Tells the run to stop. A stronger reason replaces a weaker one.
    pub fn tell(&self, why: Stop) {
        self.stop.send_if_modified(|stop| {
            let stronger = stop.is_none_or(|known| rank(why) > rank(known));
            if stronger {
                *stop = Some(why);
            }
            stronger
        });
    }

    /// Puts on record that the job is about to be on the device, and waits for that: if the worker dies from now on, the
    /// job is a suspect, which runs alone the next time. A run that is to stop is not waited for.
    ///
    /// # Errors
    /// Why the run is to stop instead.
    pub async fn enter_device(&self) -> Result<(), Stop> {
        let mut device = self.device.subscribe();
        self.device.send_if_modified(|device| {
            let ask = *device == Device::Away;
            if ask {
                *device = Device::Asked;
            }
            ask
        });
        loop {
            if let Some(stop) = self.stop() {
                return Err(stop);
            }
            if *device.borrow_and_update() == Device::Recorded {
                return Ok(());
            }
            tokio::select! {
                stop = self.stopped() => return Err(stop),
                changed = device.changed() => changed.map_err(|_| Stop::Lost)?,
            }
        }
    }
}

const fn rank(stop: Stop) -> u8 {
    match stop {
        Stop::HandOver => 0,
        Stop::TimedOut => 1,
        Stop::Cancel => 2,
        Stop::Lost => 3,
    }
}
