//! What holds for every text.

use proptest::prelude::*;
use retouch_instruction::fuzzing::{instruction_parse, work};
use retouch_instruction::{Intent, Intents, MAX_INTENTS, MAX_WORDS, normalise, parse};

use crate::samples;

/// Words that the grammar knows, in any order: far more of the parser is reached than with random letters.
fn sentence() -> impl Strategy<Value = String> {
    let words = "move put add remove make paint swap zoom rotate the a two red big ball cube tree left right top of to \
                 next in on and then , . it them all both 10 % 45 degrees by background style bigger half di chuyển \
                 đặt thêm xóa quả bóng con mèo màu đỏ sang trái ở góc dưới bên phải và rồi hai lên to hơn một chút";
    let words: Vec<&str> = words.split_whitespace().collect();
    prop::collection::vec(prop::sample::select(words), 0..40).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn any_text_is_read(text in any::<String>()) {
        instruction_parse(text.as_bytes());
    }

    #[test]
    fn any_sentence_is_read(text in sentence()) {
        instruction_parse(text.as_bytes());
    }

    #[test]
    fn capitals_and_spaces_say_nothing(text in sentence()) {
        let short = |text: &str| parse(text).intents.iter().map(|i| normalise(&i.to_string())).collect::<Vec<_>>();
        let loud = text.to_uppercase().replace(' ', "\u{a0} ");
        prop_assert_eq!(short(&text), short(&loud));
    }

    #[test]
    fn text_without_intents_has_no_words(text in "[ .,!?;\\n]*") {
        prop_assert!(parse(&text).intents.is_empty());
    }

    #[test]
    fn samples_survive_json(seed in any::<u64>()) {
        for intents in samples::intents(5, seed) {
            let intents = Intents::new(intents);
            let again = Intents::from_json(&intents.to_json()).unwrap();
            let short = |intents: &Intents| intents.intents.iter().map(ToString::to_string).collect::<Vec<_>>();
            prop_assert_eq!(short(&again), short(&intents));
        }
    }
}

#[test]
fn long_texts_end_in_one_free_intent() {
    let text = "remove the ball. ".repeat(5000);
    let intents = parse(&text).intents;
    assert_eq!(intents.len(), MAX_INTENTS);
    assert!(matches!(intents.last(), Some(Intent::Free { .. })));

    let words = "nothing ".repeat(MAX_WORDS * 20);
    assert!(parse(&words).intents.iter().all(|intent| matches!(intent, Intent::Free { .. })));
}

/// Twice the text is about twice the work, whatever the text; `work` counts comparisons, so no clock is asked.
#[test]
fn work_is_linear() {
    let texts = [
        "the ball and the cube, ",
        "remove the cat and the dog and ",
        "put the ball next to the cube ",
        "make it bigger and ",
        "xyzzy ",
        "left 10% ",
        "đặt quả bóng cạnh cái cây ",
        "thêm hai con mèo và ",
        "and then, ",
    ];
    for text in texts {
        let (once, twice) = (work(&text.repeat(60)), work(&text.repeat(120)));
        assert!(twice <= once * 5 / 2, "{text:?}: {once} comparisons, {twice} for twice the text");
    }
}

#[test]
fn complexity_grows_with_what_is_asked() {
    let texts = [
        "",
        "zoom in",
        "remove the ball",
        "move the red ball left by 10%",
        "move the red ball left by 10% and add two small cats next to the vase",
    ];
    let scores = texts.map(|text| parse(text).complexity.score);
    assert!(scores.is_sorted_by(|a, b| a < b), "{scores:?}");
    assert_eq!(scores[0], 0.0);
}
