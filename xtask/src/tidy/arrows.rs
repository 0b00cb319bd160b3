//! Which package may depend on which: the arrows between ours, and the third parties that one package owns.

use cargo_metadata::{Dependency, DependencyKind, Package};

use super::Problem;
use super::manifest::Manifest;

/// What a package of ours may use of ours.
enum Uses {
    Only(&'static [&'static str]),
    /// Everything but [`TESTKIT`]: the compositions, where the adapters meet.
    Everything,
}
use Uses::{Everything, Only};

/// Suites and fakes: a dev-dependency of anything, a dependency of nothing but [`TESTS`].
const TESTKIT: &str = "retouch-testkit";
/// The package of the tests that run several services together.
const TESTS: &str = "retouch-tests";

const ADAPTER: Uses = Only(&["retouch-domain", "retouch-ports"]);
const SERVICE: Uses = Only(&["retouch-bootstrap", "retouch-domain", "retouch-ports", "retouch-telemetry"]);

/// The arrows. A new package gets a line here, and ARCHITECTURE.md says why.
const ARROWS: &[(&str, Uses)] = &[
    ("retouch-domain", Only(&[])),
    ("retouch-ports", Only(&["retouch-domain"])),
    // Pure functions over data.
    ("retouch-imaging", Only(&[])),
    ("retouch-instruction", Only(&[])),
    ("retouch-scenes", Only(&["retouch-imaging", "retouch-instruction"])),
    ("retouch-telemetry", Only(&[])),
    // Adapters see the ports and never each other.
    ("retouch-blob-s3", ADAPTER),
    // Knows an image by its first bytes.
    ("retouch-fetch", Only(&["retouch-domain", "retouch-imaging", "retouch-ports"])),
    ("retouch-live-redis", ADAPTER),
    ("retouch-local", ADAPTER),
    ("retouch-queue-rabbitmq", ADAPTER),
    ("retouch-store-postgres", ADAPTER),
    ("retouch-store-sqlite", ADAPTER),
    // The engine and the stages built around it; the stages reach the engine through its port.
    (
        "retouch-diffusion",
        Only(&["retouch-domain", "retouch-imaging", "retouch-instruction", "retouch-ports"]),
    ),
    ("retouch-dataset", STAGES),
    ("retouch-evaluation", STAGES),
    // Services see ports; their thin mains see bootstrap; the worker's engine file sees the engine.
    // The API reads the headers of the images that are brought to it.
    (
        "retouch-api",
        Only(&[
            "retouch-bootstrap",
            "retouch-domain",
            "retouch-imaging",
            "retouch-ports",
            "retouch-telemetry",
        ]),
    ),
    ("retouch-scheduler", SERVICE),
    (
        "retouch-worker",
        Only(&[
            "retouch-bootstrap",
            "retouch-diffusion",
            "retouch-domain",
            "retouch-imaging",
            "retouch-ports",
            "retouch-scenes",
            "retouch-telemetry",
        ]),
    ),
    // Compositions.
    (
        "retouch-bootstrap",
        Only(&[
            "retouch-blob-s3",
            "retouch-domain",
            "retouch-fetch",
            "retouch-live-redis",
            "retouch-local",
            "retouch-ports",
            "retouch-queue-rabbitmq",
            "retouch-store-postgres",
            "retouch-store-sqlite",
            "retouch-telemetry",
        ]),
    ),
    ("retouch", Everything),
    (TESTKIT, Only(&["retouch-domain", "retouch-ports"])),
    (TESTS, Everything),
    ("xtask", Only(&[])),
];

const STAGES: Uses =
    Only(&["retouch-domain", "retouch-imaging", "retouch-instruction", "retouch-ports", "retouch-scenes"]);

/// Third parties that only the named packages may depend on.
const CONFINED: &[(&str, &[&str])] = &[
    ("aws-sdk-s3", &["retouch-blob-s3"]),
    ("axum", &["retouch-api", "retouch-telemetry"]),
    ("lapin", &["retouch-queue-rabbitmq"]),
    ("redis", &["retouch-live-redis"]),
    ("sqlx", &["retouch-store-postgres", "retouch-store-sqlite"]),
    ("tch", &["retouch-diffusion"]),
    ("torch-sys", &["retouch-diffusion"]),
];

/// The dependencies of one package that the tables do not allow.
pub(super) fn check(package: &Package, manifest: &Manifest) -> Vec<Problem> {
    let name = package.name.as_str();
    let Some((_, uses)) = ARROWS.iter().find(|(known, _)| *known == name) else {
        let text =
            format!("package {name} is not in the table ARROWS of xtask/src/tidy/arrows.rs; add it there");
        return vec![manifest.problem(manifest.package_line(), text)];
    };
    package
        .dependencies
        .iter()
        .filter_map(|dependency| {
            let text = complaint(name, uses, dependency)?;
            let key = dependency.rename.as_deref().unwrap_or(&dependency.name);
            Some(manifest.problem(manifest.dependency_line(key), text))
        })
        .collect()
}

fn complaint(name: &str, uses: &Uses, dependency: &Dependency) -> Option<String> {
    let other = dependency.name.as_str();
    if let Some((_, owners)) = CONFINED.iter().find(|(confined, _)| *confined == other) {
        return (!owners.contains(&name))
            .then(|| format!("{name} may not depend on {other}: only {} may", owners.join(" and ")));
    }
    let ours = dependency.path.is_some() || ARROWS.iter().any(|(known, _)| *known == other);
    if !ours {
        return None;
    }
    let dev = dependency.kind == DependencyKind::Development;
    if other == TESTKIT {
        return (!dev && name != TESTS)
            .then(|| format!("{name} may depend on {other} only under [dev-dependencies]"));
    }
    match uses {
        Everything => None,
        Only(allowed) if allowed.contains(&other) => None,
        Only([]) => Some(format!("{name} may not depend on {other}: it depends on nothing of ours")),
        Only(allowed) => {
            Some(format!("{name} may not depend on {other}: of ours only on {}", allowed.join(", ")))
        }
    }
}
