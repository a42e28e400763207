//! Photos: what a picture must be, and the two squares that are made of it.
//!
//! INVARIANT: nothing of the bytes that came in is kept. Both squares are encoded anew from pixels, so
//! that no metadata, no place where it was taken and no second file hidden behind the picture survives.
//!
//! [`square`] takes up to a second of a processor and belongs on a thread for that.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

/// The most bytes of a picture as it comes: 5 MiB.
pub const BYTES_MAX: usize = 5 << 20;
/// The sides of the squares, in pixels.
pub const LARGE: u32 = 512;
pub const SMALL: u32 = 96;
/// What the squares are.
pub const MEDIA_TYPE: &str = "image/jpeg";
/// The longest side and the most pixels of a picture as it comes, and the most memory it may unfold to.
const SIDE_MAX: u32 = 12_000;
const PIXELS_MAX: u64 = 24_000_000;
const MEMORY_MAX: u64 = 128 << 20;
const QUALITY: u8 = 85;

/// A photo as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Photo {
    pub large: Vec<u8>,
    pub small: Vec<u8>,
}

impl std::fmt::Debug for Photo {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (large, small) = (self.large.len(), self.small.len());
        formatter.debug_struct("Photo").field("large", &large).field("small", &small).finish()
    }
}

/// One of the sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    Large,
    Small,
}

/// Why a picture is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhotoFault {
    #[error("must be at most {BYTES_MAX} bytes long")]
    TooLong,
    #[error("must be a PNG, JPEG or WebP picture")]
    Format,
    #[error("must have at most {SIDE_MAX} pixels a side and {PIXELS_MAX} in all")]
    TooLarge,
    #[error("is a broken picture")]
    Broken,
}

/// Decodes a picture and makes the squares of its middle. What it is shows in its bytes, whatever it
/// was called.
///
/// # Errors
/// [`PhotoFault`] with the reason.
pub fn square(bytes: &[u8]) -> Result<Photo, PhotoFault> {
    if bytes.len() > BYTES_MAX {
        return Err(PhotoFault::TooLong);
    }
    let picture = decode(bytes)?;
    let side = picture.width().min(picture.height());
    let (left, top) = ((picture.width() - side) / 2, (picture.height() - side) / 2);
    let large = picture.crop_imm(left, top, side, side).resize_exact(LARGE, LARGE, FilterType::CatmullRom);
    drop(picture);
    let large = on_white(&large);
    let small = image::imageops::resize(&large, SMALL, SMALL, FilterType::CatmullRom);
    Ok(Photo { large: encode(&large)?, small: encode(&small)? })
}

fn decode(bytes: &[u8]) -> Result<DynamicImage, PhotoFault> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|_| PhotoFault::Format)?;
    match reader.format() {
        Some(ImageFormat::Png | ImageFormat::WebP) => {}
        Some(ImageFormat::Jpeg) if is_whole_jpeg(bytes) => {}
        Some(ImageFormat::Jpeg) => return Err(PhotoFault::Broken),
        Some(_) | None => return Err(PhotoFault::Format),
    }
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(SIDE_MAX), Some(SIDE_MAX));
    limits.max_alloc = Some(MEMORY_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(fault)?;
    // The header says how large it unfolds, before anything does.
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > PIXELS_MAX || decoder.total_bytes() > MEMORY_MAX {
        return Err(PhotoFault::TooLarge);
    }
    if width == 0 || height == 0 {
        return Err(PhotoFault::Broken);
    }
    // Cameras say in the metadata which side is up; that goes, so it is done first.
    let orientation = decoder.orientation().map_err(fault)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(fault)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn fault(error: image::ImageError) -> PhotoFault {
    match error {
        image::ImageError::Limits(_) => PhotoFault::TooLarge,
        image::ImageError::Unsupported(_) => PhotoFault::Format,
        image::ImageError::Decoding(_)
        | image::ImageError::Encoding(_)
        | image::ImageError::Parameter(_)
        | image::ImageError::IoError(_) => PhotoFault::Broken,
    }
}

/// Whether a JPEG has an end. The decoder would fill what is missing with gray.
fn is_whole_jpeg(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xDA;
    const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];
    // Segments have a length, so that a thumbnail in one, which has an end of its own, is stepped over.
    let mut rest = bytes.get(2..).unwrap_or_default();
    while let [0xFF, marker, tail @ ..] = rest {
        match (marker, tail) {
            (0xFF, _) => rest = rest.get(1..).unwrap_or_default(),
            (&START_OF_SCAN, scan) => return scan.windows(2).any(|pair| pair == END_OF_IMAGE),
            (_, [high, low, ..]) => {
                rest = tail.get(usize::from(u16::from_be_bytes([*high, *low]))..).unwrap_or_default();
            }
            _ => return false,
        }
    }
    false
}

/// The picture without transparency, which JPEG does not know.
fn on_white(picture: &DynamicImage) -> RgbImage {
    let picture = picture.to_rgba8();
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [red, green, blue, alpha] = picture.get_pixel(x, y).0;
        let blend = |color: u8| {
            let mixed = u16::from(color) * u16::from(alpha) + 255 * u16::from(255 - alpha);
            u8::try_from(mixed / 255).unwrap_or(u8::MAX)
        };
        image::Rgb([red, green, blue].map(blend))
    })
}

fn encode(picture: &RgbImage) -> Result<Vec<u8>, PhotoFault> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(picture).map_err(fault)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use image::Rgba;

    use super::*;

    fn picture(width: u32, height: u32) -> DynamicImage {
        let shade = |at: u32, of: u32| u8::try_from(at * 255 / of.max(1)).unwrap();
        image::RgbaImage::from_fn(width, height, |x, y| Rgba([shade(x, width), shade(y, height), 128, 255])).into()
    }

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let picture = if format == ImageFormat::Jpeg { picture.to_rgb8().into() } else { picture.clone() };
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn side(bytes: &[u8]) -> (u32, u32) {
        let made = image::load_from_memory_with_format(bytes, ImageFormat::Jpeg).unwrap();
        (made.width(), made.height())
    }

    #[test]
    fn every_format_becomes_two_squares() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            for (width, height) in [(640, 480), (33, 700), (1, 1), (512, 512)] {
                let made = square(&encoded(&picture(width, height), format)).unwrap();
                assert_eq!((side(&made.large), side(&made.small)), ((512, 512), (96, 96)), "{format:?} {width}");
            }
        }
    }

    #[test]
    fn transparent_pixels_are_white() {
        let glass: DynamicImage = image::RgbaImage::from_pixel(8, 8, Rgba([0, 0, 0, 0])).into();
        let made = square(&encoded(&glass, ImageFormat::Png)).unwrap();
        let shown = image::load_from_memory(&made.large).unwrap().to_rgb8();
        assert!(shown.pixels().all(|pixel| pixel.0.iter().all(|color| *color > 250)));
    }

    #[test]
    fn what_is_cut_off_is_broken() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            let whole = encoded(&picture(300, 200), format);
            for part in [whole.len() / 4, whole.len() / 2, whole.len() * 3 / 4] {
                let fault = square(&whole[..part]).unwrap_err();
                assert!(matches!(fault, PhotoFault::Broken | PhotoFault::Format), "{format:?} {part}: {fault:?}");
            }
        }
    }

    #[test]
    fn other_files_are_no_pictures() {
        let gif = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
        let svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
        for bytes in [&b""[..], &b"x"[..], gif, svg, b"BM\x1e\0\0\0\0\0\0\0\x1a\0\0\0", b"%PDF-1.7", b"PK\x03\x04"] {
            assert_eq!(square(bytes).unwrap_err(), PhotoFault::Format);
        }
        assert_eq!(square(&vec![0; BYTES_MAX + 1]).unwrap_err(), PhotoFault::TooLong);
    }
}
