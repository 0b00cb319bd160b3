//! Captions of scenes in both languages.

use retouch_instruction::{Language, lexicon, unaccented};

use crate::backdrop::Backdrop;
use crate::camera::View;
use crate::colour::{Colour, Rgb};
use crate::scene::{Background, Gender, Object, Scene, Shape};
use crate::truth::Extent;

/// How many phrasings there are.
pub const CAPTIONS: usize = 12;

/// Each with and without the objects' places.
const ENGLISH: [&str; CAPTIONS / 2] = [
    "{objects} {ground}",
    "a picture of {objects} {ground}",
    "a scene with {objects} {ground}",
    "{objects}",
    "a 3D render of {objects} {ground}",
    "{ground}: {objects}",
];
const VIETNAMESE: [&str; CAPTIONS / 2] = [
    "{objects} {ground}",
    "bức ảnh {objects} {ground}",
    "một khung cảnh có {objects} {ground}",
    "{objects}",
    "hình 3D của {objects} {ground}",
    "{ground}: {objects}",
];

/// A caption. The same `variant`, of which there are [`CAPTIONS`], gives the same phrasing for every scene; even ones
/// tell where the objects are.
pub fn caption(scene: &Scene, language: Language, variant: usize) -> String {
    let variant = variant % CAPTIONS;
    let english = language == Language::English;
    let template = if english { ENGLISH } else { VIETNAMESE }[variant / 2];
    let words = Words { english, synonym: variant / 4 };
    let objects = listed(scene, words, variant.is_multiple_of(2));
    let text = template.replace("{objects}", &objects).replace("{ground}", &ground(&scene.background, words));
    match language {
        Language::VietnameseUnaccented => unaccented(&text),
        Language::English | Language::Vietnamese => text,
    }
}

/// Which words are taken of those that mean the same.
#[derive(Clone, Copy)]
struct Words {
    english: bool,
    synonym: usize,
}

/// From left to right, those that are told alike together.
fn listed(scene: &Scene, words: Words, with_places: bool) -> String {
    let view = View::new(&scene.camera, 1.0);
    let mut objects: Vec<([f32; 2], &Object)> =
        scene.objects.iter().map(|object| (Extent::of(object, &view).centre(), object)).collect();
    objects.sort_by(|(a, _), (b, _)| a[0].total_cmp(&b[0]));
    let mut told: Vec<(usize, &Object, &'static str)> = Vec::with_capacity(objects.len());
    for (centre, object) in objects {
        let place = if with_places { place(centre, words) } else { "" };
        let alike = |(_, other, at): &&mut (usize, &Object, &'static str)| {
            name(other) == name(object) && other.colour == object.colour && *at == place
        };
        match told.iter_mut().find(alike) {
            Some((count, ..)) => *count += 1,
            None => told.push((1, object, place)),
        }
    }
    let parts: Vec<String> =
        told.iter().map(|(count, object, place)| with_place(counted(*count, object, words), place)).collect();
    let (and, nothing) =
        if words.english { (" and ", "an empty scene") } else { (" và ", "khung cảnh trống") };
    match &parts[..] {
        [] => nothing.to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{}{and}{last}", first.join(", ")),
    }
}

fn with_place(object: String, place: &str) -> String {
    if place.is_empty() { object } else { format!("{object} {place}") }
}

fn name(object: &Object) -> &'static str {
    match (object.shape, &object.person) {
        (Shape::Person, Some(person)) => match person.gender {
            Gender::Woman => "woman",
            Gender::Man => "man",
        },
        (shape, _) => shape.name(),
    }
}

/// "two red balls", "hai quả bóng màu đỏ".
fn counted(count: usize, object: &Object, words: Words) -> String {
    const NUMBERS: [(&str, &str); 9] = [
        ("two", "hai"),
        ("three", "ba"),
        ("four", "bốn"),
        ("five", "năm"),
        ("six", "sáu"),
        ("seven", "bảy"),
        ("eight", "tám"),
        ("nine", "chín"),
        ("ten", "mười"),
    ];
    let name = name(object);
    let noun = lexicon::find(lexicon::Kind::Noun, name);
    let number = count.checked_sub(2).map(|index| NUMBERS.get(index).copied().unwrap_or(("many", "nhiều")));
    let person = object.shape == Shape::Person;
    if words.english {
        let word = noun.map(|entry| &entry.english[words.synonym % entry.english.len()]);
        let (singular, plural) =
            word.map_or((name, name), |word| (word.singular.as_str(), word.plural.as_str()));
        let striped = if object.shape == Shape::Ball { "striped " } else { "" };
        let colour = object.colour.name();
        match number {
            None if person => format!("{} {singular} in {colour}", lexicon::article(singular)),
            None => format!("{} {colour} {striped}{singular}", lexicon::article(colour)),
            Some((number, _)) if person => format!("{number} {plural} in {colour}"),
            Some((number, _)) => format!("{number} {colour} {striped}{plural}"),
        }
    } else {
        let word = noun.map_or(name, |entry| &entry.vietnamese[words.synonym % entry.vietnamese.len()]);
        let detail = match object.shape {
            Shape::Ball => " kẻ sọc",
            Shape::Person => " mặc đồ",
            _ => "",
        };
        let number = number.map_or("một", |(_, number)| number);
        format!("{number} {word}{detail} màu {}", colour(object.colour))
    }
}

/// A colour in Vietnamese.
fn colour(colour: Colour) -> &'static str {
    lexicon::find(lexicon::Kind::Colour, colour.name()).map_or(colour.name(), |entry| &entry.vietnamese[0])
}

fn place(centre: [f32; 2], words: Words) -> &'static str {
    const ENGLISH: [&str; 9] = [
        "at the top left",
        "at the top",
        "at the top right",
        "on the left",
        "in the middle",
        "on the right",
        "at the bottom left",
        "at the bottom",
        "at the bottom right",
    ];
    const VIETNAMESE: [&str; 9] = [
        "ở góc trên bên trái",
        "ở phía trên",
        "ở góc trên bên phải",
        "ở bên trái",
        "ở giữa",
        "ở bên phải",
        "ở góc dưới bên trái",
        "ở phía dưới",
        "ở góc dưới bên phải",
    ];
    let third = |x: f32| ((x * 3.0) as usize).min(2);
    let cell = third(centre[1]) * 3 + third(centre[0]);
    if words.english { ENGLISH[cell] } else { VIETNAMESE[cell] }
}

fn ground(background: &Background, words: Words) -> String {
    let backdrop = Backdrop::nearest(background);
    let (english, vietnamese) = match backdrop {
        Backdrop::Plain(plain) if words.english => return format!("on a {} background", plain.name()),
        Backdrop::Plain(plain) => return format!("trên nền màu {}", colour(plain)),
        Backdrop::Meadow => ("on a meadow", "trên đồng cỏ"),
        Backdrop::Beach => ("on a beach", "trên bãi biển"),
        Backdrop::Desert => ("in a desert", "trên sa mạc"),
        Backdrop::Sea => ("on the sea", "trên biển"),
        Backdrop::Wood => ("on a wooden floor", "trên sàn gỗ"),
        Backdrop::Checker => ("on a checkered floor", "trên sàn kẻ ô"),
        Backdrop::Snow => ("in the snow", "trên tuyết"),
        Backdrop::Night => ("at night", "vào ban đêm"),
        Backdrop::Sunset => ("at sunset", "lúc hoàng hôn"),
    };
    if words.english { english } else { vietnamese }.to_owned()
}

impl Backdrop {
    /// The one that a background looks most like.
    pub fn nearest(background: &Background) -> Self {
        let distance = |backdrop: &Self| {
            let other = backdrop.background();
            let far = |Rgb(a): Rgb, Rgb(b): Rgb| {
                a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum::<u32>()
            };
            let texture = u32::from(other.ground.texture != background.ground.texture) * 20_000;
            let ground: u32 =
                other.ground.colours.iter().zip(background.ground.colours).map(|(a, b)| far(*a, b)).sum();
            texture + ground + far(other.sky.top, background.sky.top)
        };
        let plain = Colour::ALL.into_iter().map(Self::Plain);
        Self::NAMED.into_iter().chain(plain).min_by_key(distance).unwrap_or(Self::Meadow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_backdrop_is_the_own() {
        let all = Backdrop::NAMED.into_iter().chain(Colour::ALL.map(Backdrop::Plain));
        for backdrop in all {
            assert_eq!(Backdrop::nearest(&backdrop.background()), backdrop);
        }
    }
}
