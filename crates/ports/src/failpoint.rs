//! Named points in the code at which tests kill or stop the process. Builds without debug assertions have none.

/// Something that happens at points.
pub type Hook = fn(&'static str);

#[cfg(debug_assertions)]
static HOOK: std::sync::OnceLock<Hook> = std::sync::OnceLock::new();

/// Says what happens at every point of this process from now on; the first call counts.
#[cfg(debug_assertions)]
pub fn set_hook(hook: Hook) {
    // A second hook would surprise the test that set the first.
    let _ = HOOK.set(hook);
}

/// A point was reached; see [`fail_point!`](crate::fail_point).
#[cfg(debug_assertions)]
pub fn reached(point: &'static str) {
    if let Some(hook) = HOOK.get() {
        hook(point);
    }
}

/// A point at which a test may kill or stop the process.
#[macro_export]
macro_rules! fail_point {
    ($name:literal) => {
        #[cfg(debug_assertions)]
        $crate::failpoint::reached($name);
    };
}
