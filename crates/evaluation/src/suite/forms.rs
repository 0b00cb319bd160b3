//! The proposal's own wordings: a sampled scene whose edit is made to be what the words say.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use retouch_instruction::{
    Destination, Displacement, Intent, Language, PhraseSet, Place, Region, Scale, Term, Turn, count, name,
    unaccented,
};
use retouch_scenes::{
    Colour, Combination, Edit, Extent, Kind, Limits, Operation, Pair, Renderer, Scene, Split, View, ground,
};
use serde::Deserialize;

/// The least motion in the image that counts as one to a place, and the least share of an object that must be seen: as
/// pairs are sampled.
const MOTION: f32 = 0.12;
const VISIBLE: f32 = 0.7;

/// One wording.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    pub(super) edit: Asked,
    english: String,
    vietnamese: String,
}

/// What the words of a form ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Asked {
    #[serde(rename = "move_right_by_10")]
    MoveRightBy10,
    MoveLeft,
    PutLowerLeft,
    AddTwo,
    AddLowerRight,
    #[serde(rename = "rotate_45")]
    Rotate45,
    SwapPlaces,
    ColourBlue,
    ZoomIn,
}

impl Asked {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::MoveRightBy10 | Self::MoveLeft => Kind::MoveBy,
            Self::PutLowerLeft => Kind::MoveTo,
            Self::AddTwo | Self::AddLowerRight => Kind::Add,
            Self::Rotate45 => Kind::RotateView,
            Self::SwapPlaces => Kind::Swap,
            Self::ColourBlue => Kind::Recolour,
            Self::ZoomIn => Kind::Zoom,
        }
    }

    fn operation(self) -> Operation {
        match self {
            Self::MoveRightBy10 => Operation::MoveRight,
            Self::MoveLeft => Operation::MoveLeft,
            Self::PutLowerLeft => Operation::MoveTo(6),
            Self::AddTwo => Operation::Add,
            Self::AddLowerRight => Operation::AddAt(8),
            Self::Rotate45 => Operation::RotateRight,
            Self::SwapPlaces => Operation::Swap,
            Self::ColourBlue => Operation::Recolour(Colour::Blue),
            Self::ZoomIn => Operation::ZoomIn,
        }
    }

    /// What the sampled intent becomes, if the words can be said of it.
    fn of(self, sampled: &Intent) -> Option<Intent> {
        let by = |dx, said| Destination::By(Displacement { dx, dy: 0.0, unit: Default::default(), said });
        let add = |count, object: &_, place| Intent::Add { count, object: Clone::clone(object), place };
        Some(match (self, sampled) {
            (Self::MoveRightBy10, Intent::Move { target, .. }) => {
                Intent::Move { target: target.clone(), to: by(0.1, true) }
            }
            (Self::MoveLeft, Intent::Move { target, .. }) => {
                Intent::Move { target: target.clone(), to: by(-Displacement::DEFAULT, false) }
            }
            (Self::PutLowerLeft, Intent::Move { target, .. }) => {
                Intent::Move { target: target.clone(), to: Destination::Region(Region::BottomLeft) }
            }
            (Self::AddTwo, Intent::Add { object, .. }) => add(2, object, None),
            (Self::AddLowerRight, Intent::Add { object, .. }) => {
                add(1, object, Some(Place::Region(Region::BottomRight)))
            }
            (Self::Rotate45, Intent::RotateView { .. }) => {
                Intent::RotateView { turn: Turn { degrees: 45.0, said: true } }
            }
            (Self::SwapPlaces, Intent::Swap { second: Some(_), .. }) => sampled.clone(),
            (Self::ColourBlue, Intent::Recolour { target, .. }) => {
                Intent::Recolour { target: target.clone(), colour: Term::new(Colour::Blue.name()) }
            }
            (Self::ZoomIn, Intent::Zoom { focus: None, .. }) => {
                Intent::Zoom { scale: Scale { factor: Scale::DEFAULT, said: false }, focus: None }
            }
            _ => return None,
        })
    }
}

impl Form {
    /// The pair with the edit of this form instead of its own; `None` where that is impossible, or a combination that
    /// training may see.
    pub(super) fn applied(
        &self,
        pair: Pair,
        language: Language,
        size: u32,
        renderer: &mut Renderer,
    ) -> Option<Pair> {
        let [sampled] = &pair.intents[..] else { return None };
        let intent = self.edit.of(sampled)?;
        let mut edit = ground(&intent, &pair.before, (size, size)).ok()?;
        if let Edit::Add { object, .. } = &mut edit {
            // The words leave some of its looks open.
            **object = pair.after.objects.iter().find(|new| pair.before.object(new.id).is_none())?.clone();
            object.position = [0.0, 0.0];
        }
        let combinations = self.combinations(&edit, &pair.before);
        if !combinations.iter().all(|combination| Split::of(*combination) == Split::HeldOut) {
            return None;
        }
        let limits = Limits { aspect: 1.0, margin: Some(0.0), visible: VISIBLE };
        let after = edit.apply_with(&pair.before, &limits, renderer).ok()?;
        if let Edit::MoveTo { objects, .. } = &edit
            && !objects.iter().all(|id| motion(&pair.before, &after, *id) >= MOTION)
        {
            return None;
        }
        let instruction = self.written(&intent, language, pair.seed);
        let intents = vec![intent];
        Some(Pair { after, combinations, intents, instruction, language, ..pair })
    }

    fn combinations(&self, edit: &Edit, scene: &Scene) -> Vec<Combination> {
        let operation = self.edit.operation();
        let looks = |colour, shape| Combination { operation, colour, shape };
        let ids = match edit {
            Edit::Add { object, .. } => return vec![looks(object.colour, object.shape)],
            Edit::MoveBy { objects, .. } | Edit::MoveTo { objects, .. } | Edit::Recolour { objects, .. } => {
                objects.clone()
            }
            Edit::Swap { first, second } => vec![*first, *second],
            _ => scene.objects.iter().map(|object| object.id).collect(),
        };
        ids.iter().filter_map(|id| scene.object(*id)).map(|o| looks(o.colour, o.shape)).collect()
    }

    fn written(&self, intent: &Intent, language: Language, seed: u64) -> String {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut named = |referent| name(referent, PhraseSet::Training, language, &mut rng);
        let words = match intent {
            Intent::Move { target, .. } | Intent::Recolour { target, .. } => {
                vec![("{target}", named(target))]
            }
            Intent::Swap { first, second: Some(second) } => {
                vec![("{target}", named(first)), ("{other}", named(second))]
            }
            Intent::Add { count: many, object, .. } => {
                vec![("{objects}", count(object, *many, PhraseSet::Training, language, &mut rng))]
            }
            _ => Vec::new(),
        };
        let template = match language {
            Language::English => self.english.clone(),
            Language::Vietnamese => self.vietnamese.clone(),
            Language::VietnameseUnaccented => unaccented(&self.vietnamese),
        };
        words.iter().fold(template, |text, (slot, words)| text.replace(slot, words))
    }
}

/// How far an object has moved in the image.
fn motion(before: &Scene, after: &Scene, id: retouch_scenes::ObjectId) -> f32 {
    let centre = |scene: &Scene| {
        let view = View::new(&scene.camera, 1.0);
        scene.object(id).map(|object| Extent::of(object, &view).centre())
    };
    match (centre(before), centre(after)) {
        (Some([u, v]), Some([x, y])) => (x - u).hypot(y - v),
        _ => 0.0,
    }
}
