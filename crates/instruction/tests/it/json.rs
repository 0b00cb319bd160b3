//! The JSON of intents: its shape, and what is refused.

use retouch_instruction::{Intents, MAX_JSON_BYTES, Term, parse};

fn json(text: &str) -> String {
    Intents::new(parse(text).intents).to_json()
}

fn refused(json: &str) -> String {
    let error = Intents::from_json(json).unwrap_err();
    format!("{}: {error}", error.code())
}

fn intent(json: &str) -> String {
    format!(r#"{{"version":1,"intents":[{json}]}}"#)
}

#[test]
fn the_shape() {
    insta::assert_snapshot!(json("move both small red balls left by 10%"), @r#"{"version":1,"intents":[{"op":"move","target":{"noun":"ball","colour":"red","size":"small","quantity":"both"},"to":{"by":{"dx":-0.1,"dy":0.0,"said":true}}}]}"#);
    insta::assert_snapshot!(json("remove the second cube from the right"), @r#"{"version":1,"intents":[{"op":"remove","target":{"noun":"cube","ordinal":{"index":2,"from":"right"}}}]}"#);
    insta::assert_snapshot!(json("add three cats next to the vase"), @r#"{"version":1,"intents":[{"op":"add","count":3,"object":{"noun":"cat"},"place":{"relative":{"relation":"next_to","anchor":{"noun":"vase"}}}}]}"#);
    insta::assert_snapshot!(json("put the house in the left half"), @r#"{"version":1,"intents":[{"op":"move","target":{"noun":"house"},"to":{"region":{"box":{"left":0.0,"top":0.0,"right":0.5,"bottom":1.0}}}}]}"#);
    insta::assert_snapshot!(json("xoay góc nhìn sang trái 30 độ và phóng to ảnh"), @r#"{"version":1,"intents":[{"op":"rotate_view","turn":{"degrees":-30.0,"said":true}},{"op":"zoom","scale":{"factor":1.5,"said":false}}]}"#);
    insta::assert_snapshot!(json("write me a poem"), @r#"{"version":1,"intents":[{"op":"free","text":"write me a poem"}]}"#);
}

#[test]
fn words_become_canonical() {
    let given =
        Intents::from_json(&intent(r#"{"op":"recolour","target":{"noun":"Sphere"},"colour":"xanh dương"}"#))
            .unwrap();
    assert_eq!(given.intents[0].to_string(), "recolour(ball, blue)");
    assert_eq!(Term::new(" Rồng  ĐỎ ").as_str(), "rồng đỏ");
    assert_eq!(Term::new(&"x".repeat(1000)).as_str().len(), retouch_instruction::MAX_TERM_CHARS);
}

#[test]
fn what_is_refused() {
    insta::assert_snapshot!(refused("[]"), @"intents_malformed: the intents are not valid at line 1, column 2; compare them with the documented shape");
    insta::assert_snapshot!(refused(r#"{"version":2,"intents":[]}"#), @"intents_version: the intents have version 2, this software reads version 1");
    insta::assert_snapshot!(refused(&intent(r#"{"op":"remove","target":{"noun":"cat","colr":"red"}}"#)), @"intents_malformed: the intents are not valid at line 1, column 77; compare them with the documented shape");
    insta::assert_snapshot!(refused(&intent(r#"{"op":"add","count":0,"object":{}}"#)), @"intents_value: intent 0: count is 0, it must be from 1 to 1000");
    insta::assert_snapshot!(refused(&intent(r#"{"op":"zoom","scale":{"factor":1e9,"said":true}}"#)), @"intents_value: intent 0: scale.factor is 1000000000, it must be from 0.01 to 100");
    insta::assert_snapshot!(refused(&intent(r#"{"op":"add","count":1,"object":{},"place":{"region":{"box":{"left":0.5,"top":0,"right":0.2,"bottom":1}}}}"#)), @"intents_value: intent 0: place.region is (0.5, 0) to (0.2, 1), its corners must be in 0..1, left before right and top before bottom");
    let many = vec![r#"{"op":"free","text":""}"#; 65].join(",");
    insta::assert_snapshot!(refused(&intent(&many)), @"intents_too_many: there are 65 intents, the limit is 64; split them over several edits");
    insta::assert_snapshot!(refused(&" ".repeat(MAX_JSON_BYTES + 1)), @"intents_too_long: the intents are 262145 bytes of JSON, the limit is 262144; send fewer");
    let deep = format!("{}{{}}{}", r#"{"relative":{"relation":"on","anchor":"#.repeat(6), "}}".repeat(6));
    insta::assert_snapshot!(refused(&intent(&format!(r#"{{"op":"remove","target":{deep}}}"#))), @"intents_value: intent 0: target is nested too deeply, it may be told by at most 4 other objects");
}
