//! Prints images per second of the ray caster on one core: `cargo run --release -p retouch-scenes --example bench_render`.

use std::time::Instant;

use retouch_scenes::{
    Background, Camera, Colour, Gender, Ground, Hair, Light, Material, Object, ObjectId, Pair, PairOptions,
    Person, Profession, Renderer, Rgb, Scene, Shape, Skin, Sky, Split, Texture, VERSION,
};

fn main() {
    let mut scenes = Vec::new();
    let textures = [Texture::Plain, Texture::Checker, Texture::Grass, Texture::Wood, Texture::Gradient];
    for (i, &shape) in Shape::ALL.iter().enumerate() {
        let objects =
            [(-0.25, -0.3), (0.2, -0.25), (0.0, 0.1), (0.28, 0.25)].iter().enumerate().map(|(k, &(x, y))| {
                let shape = if k == 0 { shape } else { Shape::ALL[(i * 3 + k * 7) % 10] };
                Object {
                    id: ObjectId(k as u32 + 1),
                    shape,
                    colour: Colour::ALL[(i + k * 5) % 12],
                    material: [Material::Matte, Material::Shiny, Material::Metal][(i + k) % 3],
                    size: 0.26,
                    position: [x, y],
                    rotation: 20.0,
                    shadow: true,
                    person: (shape == Shape::Person).then_some(Person {
                        gender: if i % 2 == 0 { Gender::Woman } else { Gender::Man },
                        profession: Profession::ALL[i % 7],
                        skin: Skin::Tan,
                        hair: Hair::Brown,
                    }),
                }
            });
        scenes.push(Scene {
            version: VERSION,
            camera: Camera { target: [0.0, 0.0], yaw: 0.0, pitch: 35.0, zoom: 1.0, horizon: 0.5 },
            light: Light { azimuth: 140.0, elevation: 50.0, spread: 5.0, ambient: 0.45 },
            background: Background {
                sky: Sky { top: Rgb([90, 150, 230]), bottom: Rgb([210, 230, 250]) },
                ground: Ground {
                    texture: textures[i % 5],
                    colours: [Rgb([90, 150, 60]), Rgb([150, 190, 90])],
                },
            },
            objects: objects.collect(),
        });
    }
    let mut renderer = Renderer::new();
    let images = rate(|round| {
        let scene = &scenes[round as usize % scenes.len()];
        std::hint::black_box(renderer.render(scene, 128, 128).expect("a valid scene"));
    });
    println!("{images:.0} images of 128x128 with four objects per second of one core");
    for split in [Split::Train, Split::HeldOut] {
        let options = PairOptions { split, ..PairOptions::default() };
        let pairs = rate(|seed| {
            std::hint::black_box(
                Pair::sample_with(seed, &options, &mut renderer).expect("there are such pairs"),
            );
        });
        println!("{pairs:.0} {split:?} pairs sampled per second of one core");
    }
    let pairs = rate(|seed| {
        let pair =
            Pair::sample_with(seed, &PairOptions::default(), &mut renderer).expect("there are such pairs");
        for scene in [&pair.before, &pair.after] {
            std::hint::black_box(renderer.render(scene, 128, 128).expect("a valid scene"));
        }
    });
    println!("{pairs:.0} pairs sampled and rendered per second of one core");
}

/// How often per second of a core something is done, measured over about two seconds.
fn rate(mut once: impl FnMut(u64)) -> f64 {
    let (start, busy) = (Instant::now(), busy_seconds());
    let mut rounds = 0;
    while start.elapsed().as_secs_f64() < 2.0 {
        once(rounds);
        rounds += 1;
    }
    let busy = busy_seconds().zip(busy).map(|(now, then)| now - then);
    rounds as f64 / busy.unwrap_or_else(|| start.elapsed().as_secs_f64())
}

/// Seconds that this thread has had a core, where the kernel says so: others may share the machine.
fn busy_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}
