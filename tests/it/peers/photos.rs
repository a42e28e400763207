//! Photos: what is taken, what comes back, and what a hostile picture is told.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use peerage::transport::grpc::pb;
use tonic::Code;

use super::*;
use crate::support::{Server, bad_fields, reason, request_id};

const BYTES_MAX: usize = 5_242_880;

/// A picture whose left half is red and whose right half is blue.
fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let half = |x: u32| if x < width / 2 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) };
    let made: DynamicImage = RgbImage::from_fn(width, height, |x, _| half(x)).into();
    let mut bytes = Cursor::new(Vec::new());
    made.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn wished(name: &str, photo: &[u8]) -> pb::SetPhotoRequest {
    pb::SetPhotoRequest { name: name.to_owned(), photo: photo.to_vec().into(), ..pb::SetPhotoRequest::default() }
}

async fn set(client: &Client, request: pb::SetPhotoRequest) -> Result<pb::Peer, Status> {
    client.peers().set_photo(request).await.map(tonic::Response::into_inner)
}

async fn photo(client: &Client, name: &str, size: pb::PhotoSize) -> Result<pb::GetPhotoResponse, Status> {
    let request = pb::GetPhotoRequest { name: name.to_owned(), size: size.into() };
    client.peers().get_photo(request).await.map(tonic::Response::into_inner)
}

async fn large(client: &Client, name: &str) -> pb::GetPhotoResponse {
    photo(client, name, pb::PhotoSize::Large).await.unwrap()
}

fn shown(photo: &pb::GetPhotoResponse) -> RgbImage {
    assert_eq!(photo.content_type, "image/jpeg");
    image::load_from_memory_with_format(&photo.photo, ImageFormat::Jpeg).unwrap().to_rgb8()
}

#[tokio::test]
async fn mc_34_a_photo_is_optional_square_and_removable() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let emily = create(&operator, wish(&home, "emily", READ_ONLY)).await.unwrap();
    assert_eq!(emily.photo, None);
    assert_eq!(why(photo(&operator, &emily.name, pb::PhotoSize::Large).await), hidden());
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        let before = get(&operator, &emily.name).await.unwrap();
        // Each differs, so that each is a change.
        let width = 640 + u32::try_from(before.etag.len() + before.update_revision.to_string().len()).unwrap();
        let source = picture(width, 400 + u32::from(format == ImageFormat::WebP) * 80, format);
        let after = set(&operator, wished(&emily.name, &source)).await.unwrap();
        let reference = after.photo.clone().unwrap();
        assert_eq!(reference.update_time, Some(server.time(0)));
        assert_eq!(get(&operator, &emily.name).await.unwrap(), after);
        for (size, side) in [(pb::PhotoSize::Unspecified, 512), (pb::PhotoSize::Large, 512), (pb::PhotoSize::Small, 96)]
        {
            let found = photo(&operator, "peers/@EMILY", size).await.unwrap();
            assert_eq!((shown(&found).dimensions(), &found.etag), ((side, side), &reference.etag));
            assert!(found.photo.len() <= 1 << 20);
        }
        assert_ne!(large(&operator, &emily.name).await.photo, source);
    }
    let request = pb::ListAuditEventsRequest { account: home.clone(), page_size: 1000, ..Default::default() };
    let events = operator.audit().list_audit_events(request).await.unwrap().into_inner().audit_events;
    assert!(events.iter().any(|event| event.changes.iter().any(|change| change.field == "photo")));

    // The same picture again is no change.
    let source = picture(300, 300, ImageFormat::Png);
    let once = set(&operator, wished(&emily.name, &source)).await.unwrap();
    assert_eq!(set(&operator, wished(&emily.name, &source)).await.unwrap(), once);
    let stale = pb::SetPhotoRequest { etag: "1".into(), ..wished(&emily.name, &[]) };
    assert_eq!(why(set(&operator, stale).await), is(Code::Aborted, "ETAG_MISMATCH"));
    let removal = pb::SetPhotoRequest { request_id: request_id(), ..wished(&emily.name, &[]) };
    let removed = set(&operator, removal.clone()).await.unwrap();
    assert_eq!(removed.photo, None);
    assert_eq!(set(&operator, removal).await.unwrap(), removed);
    assert_eq!(why(photo(&operator, &emily.name, pb::PhotoSize::Small).await), hidden());

    let rehearsal = pb::SetPhotoRequest { validate_only: true, ..wished(&emily.name, &source) };
    let shown = set(&operator, rehearsal).await.unwrap();
    assert!((shown.photo.is_some(), shown.update_revision) == (true, 0));
    // There is none to remove, so that this changes nothing.
    let rehearsal = pb::SetPhotoRequest { validate_only: true, ..wished(&emily.name, &[]) };
    assert_eq!(set(&operator, rehearsal).await.unwrap().update_revision, 0);
    assert_eq!(get(&operator, &emily.name).await.unwrap().photo, None);
    delete(&operator, &emily.name).await.unwrap();
    assert_eq!(why(set(&operator, wished(&emily.name, &source)).await), state("PEER_DELETED"));
    server.stop().await;
}

#[tokio::test]
async fn photos_are_set_and_seen_by_those_who_may() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["mspcontrol"]).await;
    let elsewhere = server.partner("other-msp", &["mspcontrol"]).await;
    let admin = server.person(&home, "admin", ADMINISTRATOR).await;
    let reader = server.person(&home, "reader", READ_ONLY).await;
    let stranger = server.person(&elsewhere, "stranger", ADMINISTRATOR).await;
    let source = picture(64, 64, ImageFormat::Png);
    let set_it = wished(&reader.name, &source);
    assert_eq!(why(set(&reader.client, set_it.clone()).await), is(Code::PermissionDenied, "PERMISSION_DENIED"));
    assert_eq!(why(set(&stranger.client, set_it.clone()).await), hidden());
    // Whoever may not learns nothing of the picture either.
    assert_eq!(why(set(&stranger.client, wished(&reader.name, b"no picture")).await), hidden());
    assert!(set(&admin.client, set_it).await.unwrap().allowed_actions.contains(&"SetPhoto".to_owned()));
    assert!(photo(&reader.client, &reader.name, pb::PhotoSize::Small).await.is_ok());
    assert_eq!(why(photo(&stranger.client, &reader.name, pb::PhotoSize::Small).await), hidden());
    // Of somebody seen without a profile there is no photo either; one's own is seen whatever one holds.
    let nothing = server.custom_role(&home, &["agents.check_in"]).await;
    let robot = server.person(&home, "robot", &nothing).await;
    set(&admin.client, wished(&robot.name, &source)).await.unwrap();
    assert!(photo(&robot.client, "peers/me", pb::PhotoSize::Small).await.is_ok());
    assert_eq!(why(photo(&robot.client, &reader.name, pb::PhotoSize::Small).await), hidden());
    assert_eq!(set(&server.anonymous(), wished(&reader.name, &[])).await.unwrap_err().code(), Code::Unauthenticated);
    server.stop().await;
}

/// A PNG that says it is this large, with a few bytes of pixels.
fn png_that_says(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = picture(4, 4, ImageFormat::Png);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let sum = crc32fast::hash(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// A JPEG whose frame says it is this large.
fn jpeg_that_says(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = picture(16, 16, ImageFormat::Jpeg);
    let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

#[tokio::test]
async fn hostile_pictures_are_refused_with_one_clear_error() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let emily = create(&operator, wish(&home, "emily", READ_ONLY)).await.unwrap();
    let (png, jpeg) = (picture(300, 200, ImageFormat::Png), picture(300, 200, ImageFormat::Jpeg));
    let webp = picture(300, 200, ImageFormat::WebP);
    let mut turned = png.clone();
    turned[60] ^= 0xFF;
    let bombs = [png_that_says(60_000, 60_000), png_that_says(8_000, 8_000), jpeg_that_says(65_500, 65_500)];
    let gif = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;".to_vec();
    let mut cases = vec![
        ("cut PNG", png[..png.len() / 2].to_vec(), "broken"),
        ("cut JPEG", jpeg[..jpeg.len() / 2].to_vec(), "broken"),
        ("cut WebP", webp[..webp.len() / 2].to_vec(), "broken"),
        ("a PNG with a wrong sum", turned, "broken"),
        ("a signature alone", png[..8].to_vec(), "broken"),
        ("a GIF", gif, "PNG, JPEG or WebP"),
        ("a page", b"<!doctype html><script>alert(1)</script>".to_vec(), "PNG, JPEG or WebP"),
        ("a drawing", b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), "PNG, JPEG or WebP"),
        ("one byte", vec![0xFF], "PNG, JPEG or WebP"),
        ("too many bytes", [png, vec![0; BYTES_MAX]].concat(), "at most 5242880 bytes"),
    ];
    cases.extend(bombs.map(|bomb| ("a bomb", bomb, "pixels")));
    for (what, bytes, words) in cases {
        let status = set(&operator, wished(&emily.name, &bytes)).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "PHOTO_REJECTED"), "{what}");
        assert_eq!(bad_fields(&status), ["photo"], "{what}");
        assert!(status.message().contains(words), "{what}: {}", status.message());
    }
    assert_eq!(get(&operator, &emily.name).await.unwrap(), emily, "nothing changed");
    server.stop().await;
}

#[tokio::test]
async fn what_hides_in_a_picture_is_gone() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let emily = create(&operator, wish(&home, "emily", READ_ONLY)).await.unwrap();
    let holds = |photo: &pb::GetPhotoResponse, text: &[u8]| photo.photo.windows(text.len()).any(|part| part == text);

    // A second file behind the picture, up to the very last byte that is allowed.
    let script = b"<script>alert(1)</script>";
    let mut both = picture(64, 64, ImageFormat::Png);
    while both.len() + script.len() <= BYTES_MAX {
        both.extend_from_slice(script);
    }
    both.resize(BYTES_MAX, b' ');
    set(&operator, wished(&emily.name, &both)).await.unwrap();
    assert!(!holds(&large(&operator, &emily.name).await, b"script"));
    both.push(b' ');
    assert_eq!(reason(&set(&operator, wished(&emily.name, &both)).await.unwrap_err()), "PHOTO_REJECTED");

    // Metadata of a camera that was held sideways: the picture is turned, the rest is gone.
    let mut tiff = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    tiff.extend_from_slice(b"47.3769N 8.5417E");
    let mut jpeg = picture(400, 400, ImageFormat::Jpeg);
    let length = u16::try_from(tiff.len() + 2).unwrap().to_be_bytes();
    jpeg.splice(2..2, [0xFF, 0xE1].into_iter().chain(length).chain(tiff));
    set(&operator, wished(&emily.name, &jpeg)).await.unwrap();
    let photo = large(&operator, &emily.name).await;
    assert!(!holds(&photo, b"Exif") && !holds(&photo, b"47.3769N"));
    let turned = shown(&photo);
    let (top, bottom) = (turned.get_pixel(256, 20).0, turned.get_pixel(256, 490).0);
    assert!(top[0] > 200 && top[2] < 60, "red is above: {top:?}");
    assert!(bottom[2] > 200 && bottom[0] < 60, "blue is below: {bottom:?}");
    server.stop().await;
}
