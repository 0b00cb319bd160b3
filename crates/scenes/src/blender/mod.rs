//! The second renderer: Blender's Cycles, from the same scenes and the same solids.
//!
//! The solids are laid out here and written into a job file; `render.py`, which Blender runs, makes meshes, lights and
//! materials of it and adds nothing of its own. Pixels differ from the ray caster's, outlines do not: see
//! `docs/scenes.md`. This is the one part of the crate that touches files and starts a process.

mod job;

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use retouch_imaging::{ImageError, Limits, RgbImage, decode};

use crate::error::SceneError;
use crate::scene::Scene;

/// What Blender runs.
const SCRIPT: &str = include_str!("render.py");
/// Lines of Blender's output that an error tells.
const TOLD_LINES: usize = 6;

/// A picture of Blender's.
#[derive(Clone, Debug, PartialEq)]
pub struct BlenderImage {
    /// The picture.
    pub image: RgbImage,
    /// Which object each pixel shows, as grey levels: 0 for the background and 1 + its place in [`Scene::objects`].
    pub mask: RgbImage,
}

/// Why Blender made no pictures. [`BlenderError::code`] is for programs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlenderError {
    /// The program does not start.
    #[error("cannot start {program:?}; install Blender 3 or later, or name it with its path")]
    NotStarted {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program failed.
    #[error("blender ended with {status}: {told}")]
    Failed {
        /// How it ended.
        status: String,
        /// The last lines that it printed.
        told: String,
    },
    /// A file of the exchange with Blender cannot be read or written.
    #[error("cannot use {path:?}, which Blender is given or gives")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A picture of Blender's that is none.
    #[error("the picture {path:?} of Blender cannot be read")]
    Picture {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ImageError,
    },
    /// A scene that cannot be rendered.
    #[error("a scene cannot be rendered")]
    Scene {
        /// Why.
        #[source]
        source: SceneError,
    },
}

impl BlenderError {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotStarted { .. } => "blender_not_started",
            Self::Failed { .. } => "blender_failed",
            Self::File { .. } => "blender_file_inaccessible",
            Self::Picture { source, .. } => source.code(),
            Self::Scene { source } => source.code(),
        }
    }
}

/// A Blender to render with.
#[derive(Clone, Debug)]
pub struct Blender {
    /// The program.
    pub program: PathBuf,
    /// Light paths per pixel.
    pub samples: u32,
}

impl Blender {
    /// Renders scenes in one run of Blender, with files in `folder`, which stay there.
    ///
    /// # Errors
    /// [`BlenderError`].
    pub fn render(
        &self,
        scenes: &[&Scene],
        (width, height): (u32, u32),
        folder: &Path,
    ) -> Result<Vec<BlenderImage>, BlenderError> {
        let scene = |scene: &&Scene| {
            scene.validate().map_err(|source| BlenderError::Scene { source })?;
            Ok(job::of(scene, width, height))
        };
        let scenes = scenes.iter().map(scene).collect::<Result<Vec<_>, _>>()?;
        let job = serde_json::json!({
            "width": width, "height": height, "samples": self.samples, "scenes": scenes,
        });
        let job_path = write(folder.join("job.json"), job.to_string().as_bytes())?;
        let script = write(folder.join("render.py"), SCRIPT.as_bytes())?;
        self.run(&script, &job_path)?;
        let picture = |name: String| {
            let path = folder.join(name);
            let bytes =
                std::fs::read(&path).map_err(|source| BlenderError::File { path: path.clone(), source })?;
            let decoded = decode(&bytes, &Limits::default());
            decoded.map(|decoded| decoded.pixels).map_err(|source| BlenderError::Picture { path, source })
        };
        (0..scenes.len())
            .map(|index| {
                Ok(BlenderImage {
                    image: picture(format!("{index:04}.png"))?,
                    mask: picture(format!("{index:04}-mask.png"))?,
                })
            })
            .collect()
    }

    fn run(&self, script: &Path, job: &Path) -> Result<(), BlenderError> {
        let output = Command::new(&self.program)
            .args(["--background", "--factory-startup", "--python-exit-code", "1", "--python"])
            .arg(script)
            .arg("--")
            .arg(job)
            .output()
            .map_err(|source| BlenderError::NotStarted { program: self.program.clone(), source })?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let told = lines[lines.len().saturating_sub(TOLD_LINES)..].join(" | ");
        Err(BlenderError::Failed { status: output.status.to_string(), told })
    }
}

fn write(path: PathBuf, bytes: &[u8]) -> Result<PathBuf, BlenderError> {
    match std::fs::write(&path, bytes) {
        Ok(()) => Ok(path),
        Err(source) => Err(BlenderError::File { path, source }),
    }
}
