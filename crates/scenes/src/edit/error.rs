//! Why an edit is impossible.

use retouch_instruction::Relation;

use crate::error::SceneError;
use crate::scene::ObjectId;

/// An edit that cannot be carried out on a scene; the scene is as it was. [`EditError::code`] is for programs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// An id that no object has.
    #[error("the scene has no object {id}")]
    NoSuchObject {
        /// The id.
        id: ObjectId,
    },

    /// An edit of no object.
    #[error("the edit names no object, it needs at least one")]
    NothingNamed,

    /// The scene would stay as it is.
    #[error("the edit changes nothing: {reason}")]
    NoChange {
        /// What is so already.
        reason: &'static str,
    },

    /// A factor, amount or angle that no edit can have.
    #[error("{what} of the edit is {value}, it must be {rule}")]
    ValueInvalid {
        /// The field.
        what: &'static str,
        /// Its value.
        value: f32,
        /// What it must be.
        rule: &'static str,
    },

    /// An object would leave the frame.
    #[error(
        "object {id} would reach from ({:.2}, {:.2}) to ({:.2}, {:.2}), out of the frame; edit by less",
        extent[0], extent[1], extent[2], extent[3]
    )]
    OutOfFrame {
        /// The object.
        id: ObjectId,
        /// Left, top, right and bottom as fractions of the image.
        extent: [f32; 4],
    },

    /// An object would stand where the ground has ended.
    #[error("object {id} would stand beyond the horizon, edit by less")]
    BeyondHorizon {
        /// The object.
        id: ObjectId,
    },

    /// Two objects would stand in each other.
    #[error("objects {id} and {other} would stand in each other, choose another place")]
    WouldOverlap {
        /// The edited object.
        id: ObjectId,
        /// The one in its way.
        other: ObjectId,
    },

    /// An object would be hidden by others.
    #[error("only {:.0} % of object {id} would be seen, {:.0} % are the least", visible * 100.0, least * 100.0)]
    WouldHide {
        /// The object.
        id: ObjectId,
        /// The share that would be seen.
        visible: f32,
        /// [`crate::Limits::visible`].
        least: f32,
    },

    /// No free place for what is added or put somewhere.
    #[error("there is no room for {count} of them there, choose another place or a smaller count")]
    NoRoom {
        /// How many were to be placed.
        count: u32,
    },

    /// A relation that things on a ground cannot have.
    #[error("objects stand on the ground, {relation:?} has no place in this scene")]
    RelationUnsupported {
        /// The relation.
        relation: Relation,
    },

    /// The edited scene is outside of what can be rendered.
    #[error("the edited scene cannot be rendered")]
    Scene {
        /// Why.
        #[source]
        source: SceneError,
    },
}

impl EditError {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSuchObject { .. } => "edit_no_such_object",
            Self::NothingNamed => "edit_nothing_named",
            Self::NoChange { .. } => "edit_no_change",
            Self::ValueInvalid { .. } => "edit_value_invalid",
            Self::OutOfFrame { .. } => "edit_out_of_frame",
            Self::BeyondHorizon { .. } => "edit_beyond_horizon",
            Self::WouldOverlap { .. } => "edit_would_overlap",
            Self::WouldHide { .. } => "edit_would_hide",
            Self::NoRoom { .. } => "edit_no_room",
            Self::RelationUnsupported { .. } => "edit_relation_unsupported",
            Self::Scene { source } => source.code(),
        }
    }
}
