//! The parameters in a result's metadata, and what they are good for.

use retouch_imaging::read_parameters;
use serde_json::Value;

use crate::place::Place;

fn parameters(place: &Place, name: &str) -> Value {
    let bytes = std::fs::read(place.path(name)).expect("written");
    let text = read_parameters(&bytes).expect("readable").expect("there");
    serde_json::from_str(&text).expect("JSON")
}

/// The arguments that repeat an edit.
fn arguments(parameters: &Value) -> Vec<String> {
    let options = [
        ("prompt", "--instruction"),
        ("negative", "--negative"),
        ("sampler", "--sampler"),
        ("sigma_interp", "--sigma-interp"),
        ("karras", "--karras"),
        ("steps", "--steps"),
        ("guidance", "--guidance"),
        ("guidance_text", "--guidance-text"),
        ("guidance_image", "--guidance-image"),
        ("intents", "--intents"),
        ("spatial", "--spatial"),
        ("source_box", "--source-box"),
        ("clip_skip", "--clip-skip"),
        ("seed", "--seed"),
        ("dtype", "--dtype"),
        ("fit", "--fit"),
        ("resolution", "--resolution"),
    ];
    let mut arguments: Vec<String> = Vec::new();
    for (name, option) in options {
        match &parameters[name] {
            Value::Null => {}
            Value::String(text) => arguments.push(format!("{option}={text}")),
            value => arguments.push(format!("{option}={value}")),
        }
    }
    if parameters["fit"].is_null() {
        arguments.push(format!("--size={}x{}", parameters["width"], parameters["height"]));
    }
    if parameters["input_size"] == true {
        arguments.push("--input-size".into());
    }
    arguments
}

#[test]
fn parameters_read_back_repeat_the_edit() {
    let place = Place::new();
    let cases = [
        "",
        "--size 48x32 --sampler dpmpp-2m --sigma-interp log --guidance-text 3.5 --guidance-image 1.2",
        "--fit original --resolution 64 --input-size --sampler euler --karras --clip-skip 1 --negative blürry",
        "--guidance dynamic --negative blurry --spatial off --source-box 0.1,0.2,0.5,0.75 \
         --intents {\"version\":1,\"intents\":[{\"op\":\"remove\",\"target\":{\"noun\":\"tie\"}}]}",
    ];
    for options in cases {
        let mut first = place.edit_arguments("--steps 4 --output first.png --json");
        first.extend(options.split_whitespace());
        let report = place.retouch(&first).ok().json();
        let read = parameters(&place, "first.png");
        assert_eq!(read, report["parameters"], "{options}");
        let repeat = arguments(&read);
        let mut again = vec!["engine", "edit", "--model", "ip2p-euler-a", "--image", "photo.png"];
        again.extend(["--device", "cpu", "--threads", "1", "--output", "again.png"]);
        again.extend(repeat.iter().map(String::as_str));
        place.retouch(&again).ok();
        assert_eq!(place.pixels("again.png"), place.pixels("first.png"), "{repeat:?}");
        assert_eq!(parameters(&place, "again.png"), read, "{repeat:?}");
    }
}

#[test]
fn every_format_carries_the_same_parameters() {
    let place = Place::new();
    for (name, magic) in [("out.png", "\u{89}PNG"), ("out.jpg", "\u{ff}\u{d8}"), ("out.webp", "RIFF")] {
        let report = place.edit(&format!("--steps 1 --seed 7 --json --output {name}")).ok().json();
        assert_eq!(parameters(&place, name), report["parameters"], "{name}");
        let magic: Vec<u8> = magic.chars().map(|c| c as u8).collect();
        assert!(std::fs::read(place.path(name)).expect("written").starts_with(&magic), "{name}");
        assert_eq!(place.pixels(name).dimensions(), (66, 44), "{name}");
    }
}

#[test]
fn a_seed_is_chosen_and_told() {
    let place = Place::new();
    let seed = |name: &str| {
        let report = place.edit(&format!("--steps 1 --json --output {name}")).ok().json();
        report["parameters"]["seed"].as_u64().expect("a seed")
    };
    let seeds = [seed("1.png"), seed("2.png"), seed("3.png")];
    assert!(seeds[0] != seeds[1] || seeds[1] != seeds[2], "{seeds:?}");
}
