//! What the fuzz targets call, so that the plain tests can call the same over the committed corpus.

use crate::{EncodeOptions, Filter, Limits, OutputFormat, decode, encode, probe, read_parameters, resize};

/// Small, so that a fuzzer spends its time on structure and not on filling pixels.
const LIMITS: Limits =
    Limits { bytes: 1 << 20, width: 2048, height: 2048, pixels: 1 << 18, alloc_bytes: 16 << 20 };

/// Feeds arbitrary bytes to everything that reads a file.
///
/// # Panics
/// If an image comes out that breaks a limit, disagrees with its own header or does not survive a round trip.
pub fn image_decode(bytes: &[u8]) {
    let header = probe(bytes, &LIMITS);
    // Text is wanted from hostile files as well; that it ends, in text or in an error, is all there is to say.
    drop(read_parameters(bytes));
    let Ok(decoded) = decode(bytes, &LIMITS) else { return };
    let header = header.expect("an image that decodes has a header");
    assert_eq!((header.width, header.height), (decoded.stored_width, decoded.stored_height));
    let stored = (decoded.stored_width, decoded.stored_height);
    let upright = decoded.pixels.dimensions();
    assert_eq!(upright, if header.orientation >= 5 { (stored.1, stored.0) } else { stored });
    assert!(u64::from(stored.0) * u64::from(stored.1) <= LIMITS.pixels);

    let small = resize(&decoded.pixels, 9, 7, Filter::Lanczos).expect("a valid image resizes");
    let file =
        encode(&small, &EncodeOptions::new(OutputFormat::Png), Some("{}")).expect("PNG takes any image");
    assert_eq!(decode(&file, &LIMITS).expect("our own file decodes").pixels, small);
}
