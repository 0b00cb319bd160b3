//! A run as its executor sees it: how far it is, and whether it is to stop.

use std::sync::Arc;

use retouch_domain::Band;
use retouch_ports::store::Fence;
use tokio::sync::{Notify, watch};

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
    /// Steps done, steps in all.
    progress: watch::Sender<(u32, u32)>,
    stop: watch::Sender<Option<Stop>>,
    device: watch::Sender<Device>,
    /// Told when the run asks for the device.
    beat: Arc<Notify>,
}

/// How far a run's way onto the device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Device {
    Away,
    Asked,
    Recorded,
}

impl RunHandle {
    /// The handle of a run that was just claimed from this band; `beat` asks for a heartbeat at once.
    pub fn new(fence: Fence, band: Band, beat: Arc<Notify>) -> Self {
        let (progress, _) = watch::channel((0, 0));
        let (stop, _) = watch::channel(None);
        let (device, _) = watch::channel(Device::Away);
        Self { fence, band, progress, stop, device, beat }
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
        self.progress.send_replace((step, steps));
    }

    /// What [`Self::progress`] was told last: steps done, steps in all.
    pub fn reported(&self) -> (u32, u32) {
        *self.progress.borrow()
    }

    /// Whether and why the run is to stop.
    pub fn stop(&self) -> Option<Stop> {
        *self.stop.borrow()
    }

    /// Waits until the run is to stop.
    pub async fn stopped(&self) -> Stop {
        self.stopped_for_more_than(None).await
    }

    /// Waits until the run is to stop for another reason than this one.
    pub(crate) async fn stopped_for_more_than(&self, known: Option<Stop>) -> Stop {
        let mut stop = self.stop.subscribe();
        // The sender is this handle's own: it outlives the wait.
        let told = stop.wait_for(|stop| *stop != known).await;
        told.ok().and_then(|stop| *stop).unwrap_or(Stop::Lost)
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
        if self.device.send_if_modified(|device| replace(device, Device::Away, Device::Asked)) {
            self.beat.notify_one();
        }
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

    /// Whether the run is on the device or about to be, as heartbeats record it.
    pub(crate) fn on_device(&self) -> bool {
        *self.device.borrow() != Device::Away
    }

    /// Whether [`Self::enter_device`] waits.
    pub(crate) fn asks_for_device(&self) -> bool {
        *self.device.borrow() == Device::Asked
    }

    /// Tells the run to stop once it has done so many steps, and puts it on record meanwhile, as heartbeats do.
    #[cfg(test)]
    pub(crate) async fn tell_after(&self, steps: u32, why: Stop) -> std::convert::Infallible {
        let mut progress = self.progress.subscribe();
        // What the wait gives back locks the progress: it must not outlive the wait.
        let reached = async { progress.wait_for(|(done, _)| *done >= steps).await.is_ok() };
        tokio::select! {
            never = self.record() => never,
            _ = reached => {
                self.tell(why);
                std::future::pending().await
            }
        }
    }

    /// Puts the run on record as heartbeats do.
    #[cfg(test)]
    pub(crate) async fn record(&self) -> std::convert::Infallible {
        let mut device = self.device.subscribe();
        loop {
            self.device_recorded();
            // The sender is this handle's own.
            let _ = device.changed().await;
        }
    }

    /// What [`Self::enter_device`] waits for.
    pub(crate) fn device_recorded(&self) {
        self.device.send_if_modified(|device| replace(device, Device::Asked, Device::Recorded));
    }
}

fn replace(device: &mut Device, from: Device, to: Device) -> bool {
    let found = *device == from;
    if found {
        *device = to;
    }
    found
}

const fn rank(stop: Stop) -> u8 {
    match stop {
        Stop::HandOver => 0,
        Stop::TimedOut => 1,
        Stop::Cancel => 2,
        Stop::Lost => 3,
    }
}
