//! Sheets of images with text on them, in GNU Unifont: a bitmap font that has Vietnamese.

use retouch_imaging::RgbImage;

/// Pixels between the top of one line and the next.
pub const LINE: u32 = 17;
/// The colour of an empty sheet, in every channel.
pub const PAPER: u8 = 255;
/// The colour of text.
pub const INK: [u8; 3] = [20, 20, 24];
/// Width of a frame.
const FRAME: u32 = 3;
const RIGHT: [u8; 3] = [0, 150, 60];
const WRONG: [u8; 3] = [214, 40, 40];
/// Width of most letters.
const LETTER: u32 = 8;

/// Splits text into lines of at most `width` pixels, between words where it can.
pub fn wrapped(text: &str, width: u32) -> Vec<String> {
    let most = (width / LETTER).max(1) as usize;
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let length = |text: &str| text.chars().count();
        let last = lines.last_mut().expect("there is one from the start");
        if !last.is_empty() && length(last) + 1 + length(word) > most {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

/// Puts a picture on a sheet, its upper left corner at a point. It must fit.
pub fn place(sheet: &mut RgbImage, picture: &RgbImage, (left, top): (u32, u32)) {
    for (x, y, pixel) in picture.enumerate_pixels() {
        sheet.put_pixel(left + x, top + y, *pixel);
    }
}

/// Puts a picture on a sheet, in a frame of the colour of right or wrong that lies around it.
pub fn place_judged(sheet: &mut RgbImage, picture: &RgbImage, (left, top): (u32, u32), right: bool) {
    let (width, height) = picture.dimensions();
    let colour = if right { RIGHT } else { WRONG };
    for y in top.saturating_sub(FRAME)..(top + height + FRAME).min(sheet.height()) {
        for x in left.saturating_sub(FRAME)..(left + width + FRAME).min(sheet.width()) {
            sheet.get_pixel_mut(x, y).0 = colour;
        }
    }
    place(sheet, picture, (left, top));
}

/// Writes one line, its upper left corner at a point; what does not fit is cut.
pub fn write(image: &mut RgbImage, line: &str, (left, top): (u32, u32), colour: [u8; 3]) {
    let mut column = left;
    for letter in line.chars() {
        let Some(glyph) = unifont::get_glyph(letter).or_else(|| unifont::get_glyph('?')) else { continue };
        let width = glyph.get_width() as u32;
        for (x, y) in (0..16).flat_map(|y| (0..width).map(move |x| (x, y))) {
            let (to_x, to_y) = (column + x, top + y);
            if glyph.get_pixel(x as usize, y as usize) && to_x < image.width() && to_y < image.height() {
                image.get_pixel_mut(to_x, to_y).0 = colour;
            }
        }
        column += width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("di chuyển quả bóng", 90), ["di chuyển", "quả bóng"]);
        assert_eq!(wrapped("unbreakable", 8), ["unbreakable"]);
        assert_eq!(wrapped("", 80), [""]);
    }

    #[test]
    fn vietnamese_letters_have_their_own_pictures() {
        let drawn = |text: &str| {
            let mut image = RgbImage::new(8, 16);
            write(&mut image, text, (0, 0), [255; 3]);
            image
        };
        let letters = "aăâáàảãạắằẳẵặấầẩẫậđêếềểễệôốồổỗộơớờởỡợưứừửữựýỳỷỹỵ?";
        let pictures: std::collections::HashSet<Vec<u8>> =
            letters.chars().map(|letter| drawn(&letter.to_string()).into_raw()).collect();
        assert_eq!(pictures.len(), letters.chars().count());
    }
}
