//! What the parser reads in the instructions given as arguments: `cargo run -p retouch-instruction --example parse -- "…"`.

fn main() {
    for text in std::env::args().skip(1) {
        let parsed = retouch_instruction::parse(&text);
        println!("{text}\n  {:?}, complexity {:.2}", parsed.language, parsed.complexity.score);
        for intent in parsed.intents {
            println!("  {intent}");
        }
    }
}
