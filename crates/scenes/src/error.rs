//! What can be wrong with a scene.

use crate::scene::{ObjectId, VERSION};

/// An error of this crate's scenes. The message says what, where and what to do; [`SceneError::code`] is for programs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SceneError {
    /// The text is not the JSON of a scene.
    #[error("the scene's JSON cannot be used, see the crate's `Scene` for its fields")]
    Json {
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },

    /// A scene of another version of the format.
    #[error("the scene has version {found}, this program reads version {VERSION}")]
    VersionUnsupported {
        /// [`crate::Scene::version`].
        found: u32,
    },

    /// A number outside of what can be rendered.
    #[error("{field} of the scene is {value}, it must be between {min} and {max}")]
    OutOfRange {
        /// The field, with its path.
        field: String,
        /// Its value.
        value: f32,
        /// The smallest allowed.
        min: f32,
        /// The largest allowed.
        max: f32,
    },

    /// More objects than are rendered.
    #[error("the scene has {found} objects, {limit} are the most")]
    TooManyObjects {
        /// Objects in the scene.
        found: usize,
        /// [`crate::MOST_OBJECTS`].
        limit: usize,
    },

    /// Two objects with one id.
    #[error("two objects of the scene have the id {id}, give each its own")]
    DuplicateId {
        /// The id.
        id: ObjectId,
    },

    /// A person without attributes, or attributes on something else.
    #[error("object {id} must have `person` if and only if its shape is `person`")]
    PersonMismatch {
        /// The object.
        id: ObjectId,
    },

    /// An image size that is not rendered.
    #[error(
        "an image of {width}x{height} pixels cannot be rendered, each side must be between 8 and {limit}"
    )]
    SizeInvalid {
        /// Width asked for.
        width: u32,
        /// Height asked for.
        height: u32,
        /// [`crate::MOST_PIXELS_A_SIDE`].
        limit: u32,
    },
}

impl SceneError {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Json { .. } => "scene_json_invalid",
            Self::VersionUnsupported { .. } => "scene_version_unsupported",
            Self::OutOfRange { .. } => "scene_value_out_of_range",
            Self::TooManyObjects { .. } => "scene_too_many_objects",
            Self::DuplicateId { .. } => "scene_duplicate_id",
            Self::PersonMismatch { .. } => "scene_person_mismatch",
            Self::SizeInvalid { .. } => "render_size_invalid",
        }
    }
}
