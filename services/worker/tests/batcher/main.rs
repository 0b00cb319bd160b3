//! The loop on a deterministic engine: who shares which forward, who leaves, who fails.

mod fake;

use std::time::Duration;

use fake::{World, image_of, request};
use retouch_domain::Band;
use retouch_ports::step_engine::{AdmittedRow, EngineErrorKind, Gang, GangControl, RowRequest, UnitProgress};
use retouch_worker::batcher::{Activity, Batcher, End, Gone, Options, Order, Running, Served};
use tokio::runtime::{Builder, Runtime};

const STALL: Duration = Duration::from_secs(60);

fn runtime() -> Runtime {
    Builder::new_current_thread().build().expect("a running thread")
}

fn order(request: RowRequest, band: Band) -> Order {
    Order { model: "model".to_owned(), band, alone: false, gang: Gang::single(request) }
}

fn submit(batcher: &Batcher, order: Order) -> Running {
    runtime().block_on(batcher.submit(order)).expect("a running thread")
}

fn bulk(batcher: &Batcher, label: &str, seed: u64, steps: usize) -> Running {
    submit(batcher, order(request(label, seed, steps), Band::Bulk))
}

fn served(mut running: Running) -> Served {
    runtime().block_on(running.served()).expect("a running thread")
}

fn images(served: Served) -> Vec<Vec<f32>> {
    match served.end {
        End::Finished(outputs) => outputs.into_iter().map(|output| output.image).collect(),
        end => panic!("{end:?}"),
    }
}

fn failure(served: Served) -> (EngineErrorKind, &'static str) {
    match served.end {
        End::Failed(error) => (error.kind, error.code),
        end => panic!("{end:?}"),
    }
}

#[test]
fn rows_of_any_length_share_forwards_and_nothing_else() {
    let (world, gate) = World::gated();
    let batcher = world.start(Options::default());
    let first = bulk(&batcher, "first", 1, 1);
    gate.entered();
    let requests: Vec<RowRequest> = (0..3).map(|i| request(&format!("row {i}"), i, 2 + i as usize)).collect();
    let rest: Vec<Running> =
        requests.iter().map(|r| submit(&batcher, order(r.clone(), Band::Bulk))).collect();
    gate.open();
    assert_eq!(images(served(first)), [image_of(&request("first", 1, 1))]);
    for (running, request) in rest.into_iter().zip(&requests) {
        let served = served(running);
        assert_eq!(served.account.forwards, request.steps as u64);
        assert_eq!(images(served), [image_of(request)]);
    }
    let sizes: Vec<usize> = world.forwards().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 3, 3, 2, 1]);
}

#[test]
fn an_interactive_row_is_in_the_next_forward_and_bulk_rows_wait() {
    let (mut world, gate) = World::gated();
    world.branches = Some(6);
    let batcher = world.start(Options::default());
    let waiting: Vec<Running> = (0..4).map(|i| bulk(&batcher, &format!("bulk {i}"), i, 5)).collect();
    assert_eq!(gate.entered()[0], "bulk 0");
    let urgent = submit(&batcher, order(request("urgent", 9, 2), Band::Interactive));
    gate.go();
    // An engine has its rows in the order of their admission.
    assert_eq!(gate.entered(), ["bulk 0", "urgent"]);
    gate.go();
    assert_eq!(gate.entered(), ["bulk 0", "urgent"]);
    gate.open();
    let account = served(urgent).account;
    assert_eq!(account.forwards, 2);
    assert_eq!(account.ready, Duration::ZERO, "encoded and denoised in the same turn");
    waiting.into_iter().for_each(|running| assert_eq!(images(served(running)).len(), 1));
}

#[test]
fn lower_bands_get_their_share_while_interactive_work_never_ends() {
    let (mut world, gate) = World::gated();
    world.branches = Some(3);
    let batcher = world.start(Options::default());
    let low = bulk(&batcher, "low", 1, 3);
    gate.entered();
    let mut urgent = Vec::new();
    let mut at = Vec::new();
    for forward in 0..30 {
        urgent.push(submit(&batcher, order(request("urgent", forward, 2), Band::Interactive)));
        gate.go();
        if gate.entered() == ["low"] {
            at.push(forward);
        }
    }
    assert!(at.len() == 2 && at[0] < 10 && at[1] - at[0] <= 10, "{at:?}");
    gate.open();
    served(low);
}

#[test]
fn whoever_cancels_is_gone_after_the_forward_that_runs() {
    let (world, gate) = World::gated();
    let batcher = world.start(Options::default());
    let [canceled, dropped, kept] = ["canceled", "dropped", "kept"].map(|label| bulk(&batcher, label, 1, 9));
    while gate.entered().len() < 3 {
        gate.go();
    }
    let done = canceled.progress().borrow().forward;
    canceled.cancel();
    drop(dropped);
    gate.go();
    assert_eq!(gate.entered(), ["kept"]);
    gate.open();
    let served_ = served(canceled);
    assert!(matches!(served_.end, End::Canceled));
    assert_eq!(served_.account.forwards, done as u64 + 1);
    assert_eq!(images(served(kept)), [image_of(&request("kept", 1, 9))]);
}

#[test]
fn progress_is_told_after_every_forward() {
    let (world, gate) = World::gated();
    let batcher = world.start(Options::default());
    let running = bulk(&batcher, "row", 1, 3);
    for forward in 0..3 {
        gate.entered();
        let progress = *running.progress().borrow();
        assert_eq!((progress.forward, progress.forwards), (forward, 3));
        gate.go();
    }
    served(running);
}

#[test]
fn a_row_that_makes_forwards_fail_fails_alone() {
    for (bad, expected) in [
        ("nan", (EngineErrorKind::NonFinite, "non_finite")),
        ("error", (EngineErrorKind::Internal, "torch")),
        ("panic", (EngineErrorKind::Internal, "engine_panicked")),
    ] {
        for place in 0..5 {
            let (world, gate) = World::gated();
            let batcher = world.start(Options { max_step: STALL, ..Options::default() });
            let opener = bulk(&batcher, "opener", 0, 1);
            gate.entered();
            let rows: Vec<Running> =
                (0..5).map(|i| bulk(&batcher, if i == place { bad } else { "good" }, i, 4)).collect();
            gate.open();
            served(opener);
            for (i, running) in rows.into_iter().enumerate() {
                let served = served(running);
                if i as u64 == place {
                    assert_eq!(failure(served), expected);
                } else {
                    assert_eq!(served.account.forwards, 4, "{bad} at {place}");
                    assert_eq!(images(served), [image_of(&request("good", i as u64, 4))]);
                }
            }
            assert!(batcher.health().is_good(world.clock.now(), STALL));
        }
    }
}

#[test]
fn what_does_not_fit_the_memory_is_split() {
    let (mut world, gate) = World::gated();
    world.fits = Some(7);
    let batcher = world.start(Options { max_step: STALL, ..Options::default() });
    let opener = bulk(&batcher, "opener", 0, 1);
    gate.entered();
    let rows: Vec<Running> = (0..6).map(|i| bulk(&batcher, "row", i, 6)).collect();
    gate.open();
    served(opener);
    for (i, running) in rows.into_iter().enumerate() {
        assert_eq!(images(served(running)), [image_of(&request("row", i as u64, 6))]);
    }
    let tight = World { fits: Some(2), ..World::default() };
    let batcher = tight.start(Options::default());
    assert_eq!(failure(served(bulk(&batcher, "row", 1, 2))), (EngineErrorKind::OutOfMemory, "out_of_memory"));
}

#[test]
fn a_row_goes_on_elsewhere_from_the_same_step() {
    let (world, gate) = World::gated();
    let batcher = world.start(Options::default());
    let running = bulk(&batcher, "row", 7, 6);
    for _ in 0..2 {
        gate.entered();
        gate.go();
    }
    gate.entered();
    let late = bulk(&batcher, "late", 8, 6);
    running.hand_over();
    late.hand_over();
    gate.open();
    let first = served(running);
    let End::HandedOver(mut states) = first.end else { panic!("{:?}", first.end) };
    let nothing = served(late);
    assert!(matches!(&nothing.end, End::HandedOver(states) if states == &[None]), "{:?}", nothing.end);
    let other = World::default();
    let batcher = other.start(Options::default());
    let gang = Gang {
        rows: vec![AdmittedRow { request: request("row", 7, 6), resume: states.remove(0) }],
        control: GangControl::Independent,
    };
    let second = served(submit(&batcher, Order { gang, ..order(request("row", 7, 6), Band::Bulk) }));
    assert_eq!(first.account.forwards + second.account.forwards, 6);
    assert_eq!(images(second), [image_of(&request("row", 7, 6))]);
}

#[test]
fn a_suspect_has_the_device_for_itself() {
    let (world, gate) = World::gated();
    let batcher = world.start(Options::default());
    let before = bulk(&batcher, "before", 1, 3);
    gate.entered();
    let suspect = Order { alone: true, ..order(request("suspect", 2, 2), Band::Bulk) };
    let suspect = submit(&batcher, suspect);
    let after = submit(&batcher, order(request("after", 3, 2), Band::Interactive));
    gate.open();
    for running in [before, suspect, after] {
        assert_eq!(images(served(running)).len(), 1);
    }
    assert_eq!(
        world.forwards().concat(),
        ["before", "before", "before", "suspect", "suspect", "after", "after"]
    );
}

#[test]
fn a_gang_stays_together() {
    let world = World::default();
    let batcher = world.start(Options::default());
    let row = |label: &str, seed| AdmittedRow { request: request(label, seed, 3), resume: None };
    let gang = |rows| Gang { rows, control: GangControl::SelfAttentionCopy { threshold: 0.5 } };
    let pairs: Vec<Running> = (0..9)
        .map(|i| {
            let gang = gang(vec![row(&format!("{i}a"), i), row(&format!("{i}b"), i)]);
            submit(&batcher, Order { gang, ..order(request("", 0, 1), Band::Bulk) })
        })
        .collect();
    pairs.into_iter().for_each(|pair| assert_eq!(images(served(pair)).len(), 2));
    for labels in world.forwards() {
        assert!(labels.chunks(2).all(|pair| pair[0][..1] == pair[1][..1]), "{labels:?}");
    }
}

#[test]
fn models_come_on_demand_and_the_least_recently_used_goes() {
    let world = World::default();
    let batcher = world.start(Options { model_bytes: 20, ..Options::default() });
    let run = |model: &str| {
        let order = Order { model: model.to_owned(), ..order(request("row", 1, 2), Band::Bulk) };
        served(submit(&batcher, order))
    };
    assert_eq!(run("a").account.load, Duration::from_secs(3));
    assert_eq!(run("b").account.load, Duration::from_secs(3));
    assert_eq!(run("a").account.load, Duration::ZERO);
    let (facts, load) = runtime().block_on(batcher.model("c", Band::Bulk)).unwrap().unwrap();
    assert_eq!((facts.hash.as_str(), load), ("hash of c", Duration::from_secs(3)));
    assert_eq!(failure(run("absent")), (EngineErrorKind::Invalid, "model_unknown"));
    assert_eq!(batcher.health().figures().models, ["a", "c"]);
    assert_eq!(batcher.health().figures().known, ["large", "small"]);
    run("b");
    assert_eq!(*world.loads.lock().unwrap(), ["a", "b", "c", "b"]);
}

#[test]
fn a_model_in_use_stays_and_who_waits_for_memory_gets_it() {
    let (world, gate) = World::gated();
    let batcher = world.start(Options { model_bytes: 10, ..Options::default() });
    let of = |model: &str, label: &str| Order {
        model: model.to_owned(),
        ..order(request(label, 1, 3), Band::Bulk)
    };
    let a = submit(&batcher, of("a", "a"));
    gate.entered();
    let b = submit(&batcher, of("b", "b"));
    let late = submit(&batcher, of("a", "late"));
    gate.open();
    for running in [a, b, late] {
        served(running);
    }
    assert_eq!(world.forwards().concat(), ["a", "a", "a", "b", "b", "b", "late", "late", "late"]);
}

#[test]
fn exclusive_units_get_slices_between_forwards() {
    let (world, gate) = World::gated();
    let batcher = world.start(Options::default());
    let row = bulk(&batcher, "row", 1, 4);
    gate.entered();
    let (clock, mut left) = (world.clock.clone(), 3);
    let unit = Box::new(move |slice: Duration| {
        clock.advance(slice.min(Duration::from_millis(30)));
        left -= 1;
        if left > 0 { UnitProgress::More } else { UnitProgress::Done }
    });
    let unit = runtime().block_on(batcher.exclusive("model".to_owned(), Band::Bulk, unit)).unwrap();
    gate.open();
    assert_eq!(images(served(row)), [image_of(&request("row", 1, 4))]);
    let unit = served(unit);
    assert!(matches!(unit.end, End::Finished(_)));
    assert_eq!(unit.account.device, Duration::from_millis(90));
}

#[test]
fn forwards_grow_as_far_as_a_step_may_last() {
    let world = World::default();
    let batcher = world.start(Options { max_step: Duration::from_millis(200), ..Options::default() });
    let rows: Vec<Running> = (0..30).map(|i| bulk(&batcher, "row", i, 8)).collect();
    rows.into_iter().for_each(|running| drop(served(running)));
    // A branch takes 10 ms and a row has three.
    let most = world.forwards().iter().map(Vec::len).max();
    assert!((5..=6).contains(&most.unwrap()), "{most:?}");
}

#[test]
fn device_time_is_shared_by_branches() {
    let (world, gate) = World::gated();
    let batcher = world.start(Options::default());
    let opener = bulk(&batcher, "opener", 0, 1);
    gate.entered();
    let three = bulk(&batcher, "three", 1, 2);
    let one = RowRequest { guidance_text: 1.0, ..request("one", 2, 2) };
    let one = submit(&batcher, order(one, Band::Bulk));
    gate.open();
    let accounts = [opener, three, one].map(|running| served(running).account);
    let device = accounts.map(|account| account.device);
    // 10 ms for a branch and forward, 2 for an encode, 4 for a decode.
    assert_eq!(device.map(|time| time.as_millis()), [36, 66, 26]);
    // Answers go out in the middle of a turn, the figures are added up at its end.
    while batcher.health().activity() != Activity::Idle {
        std::thread::yield_now();
    }
    assert_eq!(device.iter().sum::<Duration>(), batcher.health().figures().busy);
    assert_eq!(accounts[1].denoise, Duration::from_millis(80));
}

#[test]
fn a_device_on_which_nothing_succeeds_ends_the_thread() {
    let world = World::default();
    let batcher = world.start(Options::default());
    let runtime = runtime();
    let mut rows: Vec<Running> = (0..6).map(|i| bulk(&batcher, "broken", i, 4)).collect();
    let ends: Vec<bool> = rows.iter_mut().map(|row| runtime.block_on(row.served()).is_ok()).collect();
    assert!(ends.iter().filter(|answered| **answered).count() >= 5, "{ends:?}");
    // What comes now finds nobody, at the latest once the thread has gone.
    let mut next = runtime.block_on(batcher.submit(order(request("next", 1, 1), Band::Bulk)));
    if let Ok(running) = &mut next {
        assert!(runtime.block_on(running.served()).is_err());
        next = runtime.block_on(batcher.submit(order(request("next", 1, 1), Band::Bulk)));
    }
    assert!(matches!(next, Err(Gone)));
    while batcher.health().activity() != Activity::Ended(true) {
        std::thread::yield_now();
    }
    assert!(!batcher.health().is_good(world.clock.now(), STALL));
}

#[test]
fn a_forward_that_never_ends_is_seen() {
    let (world, gate) = World::gated();
    let batcher = world.start(Options::default());
    let running = bulk(&batcher, "row", 1, 1);
    gate.entered();
    world.clock.advance(Duration::from_secs(59));
    assert!(batcher.health().is_good(world.clock.now(), STALL));
    world.clock.advance(Duration::from_secs(2));
    assert!(!batcher.health().is_good(world.clock.now(), STALL));
    gate.open();
    served(running);
}
