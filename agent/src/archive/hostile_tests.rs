//! Archives that somebody made to do harm, or that lost a part: refused as a whole, with nothing left
//! behind; and odd ones that are meant well.

use super::*;
use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use tar::{Builder, EntryType, Header};

/// Kind, name, mode, content or target.
type Item<'i> = (EntryType, &'i [u8], u32, &'i [u8]);

const F: EntryType = EntryType::Regular;
const L: EntryType = EntryType::Symlink;
const H: EntryType = EntryType::Link;

/// With GNU's long names and none of the checks of a decent writer.
fn tar_of(items: &[Item<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, name, mode, content) in items {
        if name.len() > 100 {
            let mut long = Header::new_gnu();
            long.set_entry_type(EntryType::GNULongName);
            long.set_size(name.len() as u64 + 1);
            long.set_cksum();
            builder.append(&long, [*name, b"\0"].concat().as_slice()).unwrap();
        }
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        let head = &name[..name.len().min(100)];
        header.as_gnu_mut().unwrap().name[..head.len()].copy_from_slice(head);
        let body: &[u8] = if *kind == F { content } else { b"" };
        if *kind != F {
            header.as_gnu_mut().unwrap().linkname[..content.len()].copy_from_slice(content);
        }
        header.set_size(body.len() as u64);
        header.set_cksum();
        builder.append(&header, body).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Without a compression that would hide what is in it.
fn zip_of(items: &[(&str, u32, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, mode, content) in items {
        let options = zip::write::SimpleFileOptions::default()
            .unix_permissions(*mode)
            .compression_method(zip::CompressionMethod::Stored);
        if mode & 0o170_000 == 0o120_000 {
            writer.add_symlink(*name, *content, options).unwrap();
        } else {
            writer.start_file(*name, options).unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

struct Case {
    dir: tempfile::TempDir,
    rules: Rules,
}

impl Case {
    fn new() -> Case {
        let rules = Rules { modes: Modes::Sheltered, ..Rules::default() };
        Case { dir: tempfile::tempdir().unwrap(), rules }
    }

    fn unpack(&self, format: Format, bytes: &[u8]) -> Result<Unpacked, ArchiveError> {
        let archive = self.dir.path().join("archive");
        std::fs::write(&archive, bytes).unwrap();
        unpack(&archive, format, &self.dir.path().join("target"), &self.rules)
    }

    /// Nothing but the archive is there afterwards.
    #[track_caller]
    fn refused(&self, format: Format, bytes: &[u8]) -> String {
        let error = self.unpack(format, bytes).unwrap_err();
        assert!(!error.is_disk_full(), "{error}");
        let left: Vec<_> = std::fs::read_dir(self.dir.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{error}: {left:?}");
        error.to_string()
    }

    fn at(&self, name: &[u8]) -> std::path::PathBuf {
        self.dir.path().join("target").join(OsStr::from_bytes(name))
    }
}

#[test]
fn no_tar_writes_outside_by_name_by_link_or_by_second_name() {
    let cases: [&[Item<'_>]; 12] = [
        &[(F, b"../evil", 0o644, b"x")],
        &[(F, b"a/b/../../../evil", 0o644, b"x")],
        &[(F, b"/etc/evil", 0o644, b"x")],
        &[(L, b"l", 0o777, b"/etc"), (F, b"l/evil", 0o644, b"x")],
        &[(L, b"l", 0o777, b".."), (F, b"l/evil", 0o644, b"x")],
        &[(L, b"l", 0o777, b"."), (F, b"l/../evil", 0o644, b"x")],
        &[(L, b"a", 0o777, b"b"), (L, b"b", 0o777, b".."), (F, b"a/evil", 0o644, b"x")],
        &[(L, b"l", 0o777, b"f"), (F, b"l", 0o644, b"through"), (F, b"f", 0o644, b"x")],
        &[(H, b"h", 0o644, b"/etc/passwd")],
        &[(H, b"h", 0o644, b"../../etc/passwd")],
        &[(L, b"l", 0o777, b"x"), (H, b"h", 0o644, b"l"), (F, b"h", 0o644, b"x")],
        &[(F, b"f\0g", 0o644, b"x"), (F, b"f", 0o644, b"y")],
    ];
    for items in cases {
        Case::new().refused(Format::Tar, &tar_of(items));
    }
}

#[test]
fn devices_pipes_and_what_nobody_knows_are_refused() {
    let odd = [EntryType::Char, EntryType::Block, EntryType::Fifo, EntryType::new(b'M')];
    for kind in odd {
        let refusal = Case::new().refused(Format::Tar, &tar_of(&[(kind, b"d", 0o666, b"")]));
        assert!(refusal.contains("'d' in the archive is"), "{refusal}");
    }
    for kind in [0o020_000, 0o060_000, 0o010_000, 0o140_000] {
        let mut zip = zip_of(&[("d", 0o644, "")]);
        // The writer makes none of these: the kind is in the last central header.
        let central = zip.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
        let attributes = ((kind | 0o644_u32) << 16).to_le_bytes();
        zip[central + 38..central + 42].copy_from_slice(&attributes);
        let refusal = Case::new().refused(Format::Zip, &zip);
        assert!(refusal.contains("device or a pipe"), "{kind:o}: {refusal}");
    }
}

#[test]
fn a_bomb_is_stopped_by_its_ratio_long_before_the_limit_of_all_archives() {
    let mut case = Case::new();
    case.rules.bytes_free = 64 << 10;
    let zeros = vec![0; 4 << 20];
    let tar = tar_of(&[(F, b"zeros", 0o644, &zeros)]);
    let zst = zstd::encode_all(&tar[..], 19).unwrap();
    assert!(zst.len() * 200 < zeros.len(), "{} bytes are no bomb", zst.len());
    assert!(case.refused(Format::TarZst, &zst).contains("more bytes than are allowed"));
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gz.write_all(&tar).unwrap();
    let gz = gz.finish().unwrap();
    assert!(case.refused(Format::TarGz, &gz).contains("more bytes than are allowed"));
    let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    writer.start_file("zeros", zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(&zeros).unwrap();
    let zip = writer.finish().unwrap().into_inner();
    assert!(case.refused(Format::Zip, &zip).contains("more bytes than are allowed"));
    // Many files that are small each.
    let part = vec![0; 64 << 10];
    let names: Vec<Vec<u8>> = (0..64).map(|n| format!("f{n}").into_bytes()).collect();
    let items: Vec<Item<'_>> = names.iter().map(|n| (F, n.as_slice(), 0o644, &part[..])).collect();
    let zst = zstd::encode_all(&tar_of(&items)[..], 19).unwrap();
    case.refused(Format::TarZst, &zst);
    // What is small enough needs no ratio, and what is no bomb may be large.
    case.rules.bytes_free = 8 << 20;
    case.unpack(Format::TarZst, &zst).unwrap();
}

#[test]
fn more_entries_than_allowed_are_refused_in_zips_as_in_tars() {
    let mut case = Case::new();
    case.rules.entries_max = 2;
    let items = [(F, &b"a"[..], 0o644, &b"1"[..]), (F, b"b", 0o644, b"2"), (F, b"c", 0o644, b"3")];
    assert!(case.refused(Format::Tar, &tar_of(&items)).contains("one entry more"));
    let zip = zip_of(&[("a", 0o644, "1"), ("b", 0o644, "2"), ("c", 0o644, "3")]);
    assert!(case.refused(Format::Zip, &zip).contains("one entry more"));
}

#[test]
fn an_archive_cut_off_anywhere_is_never_taken_for_a_whole_one() {
    let body = b"0123456789".repeat(100);
    let tar = tar_of(&[(F, b"a", 0o644, &body), (F, b"b", 0o644, &body)]);
    let zst = zstd::encode_all(&tar[..], 1).unwrap();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&tar).unwrap();
    let gz = gz.finish().unwrap();
    let text = String::from_utf8(body.clone()).unwrap();
    let zip = zip_of(&[("a", 0o644, &text), ("b", 0o644, &text)]);
    // Two blocks of zeros end a tar; one is enough to know.
    let content = tar.len() - 1024;
    for (format, bytes, whole) in [
        (Format::Tar, &tar, content),
        (Format::TarZst, &zst, zst.len()),
        (Format::TarGz, &gz, gz.len()),
        (Format::Zip, &zip, zip.len()),
    ] {
        Case::new().unpack(format, bytes).unwrap();
        for cut in
            (1..=whole).step_by(if matches!(format, Format::Tar | Format::Zip) { 128 } else { 3 })
        {
            let left = &bytes[..whole - cut];
            let done = Case::new().unpack(format, left);
            assert!(done.is_err(), "{format:?}: {} of {} bytes", left.len(), bytes.len());
        }
    }
    Case::new().refused(Format::Tar, &tar[..content]);
}

#[test]
fn a_changed_byte_in_a_zip_is_found_by_its_checksum() {
    let mut zip = zip_of(&[("a", 0o644, "content")]);
    let at = zip.windows(7).position(|w| w == b"content").unwrap();
    zip[at] = b'C';
    assert!(Case::new().refused(Format::Zip, &zip).contains("damaged"));
}

#[test]
fn an_entry_that_is_there_twice_is_refused() {
    let twice: [&[Item<'_>]; 3] = [
        &[(F, b"f", 0o644, b"1"), (F, b"f", 0o644, b"2")],
        &[(F, b"d/f", 0o644, b"1"), (F, b"d/./f", 0o644, b"2")],
        &[(L, b"f", 0o777, b"x"), (L, b"f", 0o777, b"y")],
    ];
    for items in twice {
        assert!(Case::new().refused(Format::Tar, &tar_of(items)).contains("twice"), "{items:?}");
    }
    let mut zip = zip_of(&[("name", 0o644, "1"), ("eman", 0o644, "2")]);
    while let Some(at) = zip.windows(4).position(|w| w == b"eman") {
        zip[at..at + 4].copy_from_slice(b"name");
    }
    assert!(Case::new().refused(Format::Zip, &zip).contains("twice"));
}

#[test]
fn odd_names_come_out_as_they_are_and_write_no_lines_of_their_own() {
    let case = Case::new();
    let names: [&[u8]; 4] = [b"new\nline", b"\xff\xfe", b"tab\t\x1b[31m", "ümläut".as_bytes()];
    let items: Vec<Item<'_>> = names.iter().map(|name| (F, *name, 0o644, &b"x"[..])).collect();
    assert_eq!(case.unpack(Format::Tar, &tar_of(&items)).unwrap().files, 4);
    for name in names {
        assert_eq!(std::fs::read(case.at(name)).unwrap(), b"x");
    }
    let evil = b"x\n[agent] succeeded\x1b[2J/../../evil";
    let refusal = Case::new().refused(Format::Tar, &tar_of(&[(F, evil, 0o644, b"x")]));
    assert!(refusal.chars().all(|c| !c.is_control()), "{refusal:?}");
}

#[test]
fn a_path_of_ten_thousand_directories_is_refused() {
    for depth in [10_000, 1_900] {
        let deep = b"d/".repeat(depth);
        let file = [&deep[..], b"file"].concat();
        let tar = tar_of(&[(F, &file, 0o644, b"x")]);
        match Case::new().unpack(Format::Tar, &tar) {
            Err(error) => {
                assert!(matches!(error, ArchiveError::Refused { .. }), "{depth}: {error}");
            }
            Ok(done) => assert_eq!((done.files, depth), (1, 1_900)),
        }
    }
    let long = b"n".repeat(300);
    let refusal = Case::new().refused(Format::Tar, &tar_of(&[(F, &long, 0o644, b"x")]));
    assert!(refusal.contains("too long a name"), "{refusal}");
}

#[test]
fn no_archive_brings_a_setuid_or_setgid_file() {
    let items = [(F, &b"su"[..], 0o6755, &b"x"[..]), (EntryType::Directory, b"d", 0o7777, b"")];
    let zip = zip_of(&[("su", 0o106_755, "x"), ("d/f", 0o104_777, "x")]);
    for (format, bytes) in [(Format::Tar, tar_of(&items)), (Format::Zip, zip)] {
        for modes in [Modes::Kept, Modes::Sheltered] {
            let mut case = Case::new();
            case.rules.modes = modes;
            case.unpack(format, &bytes).unwrap();
            for name in [b"su", &b"d"[..]] {
                let mode = case.at(name).metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o7000, 0, "{format:?} {modes:?}: {mode:o}");
            }
        }
    }
}

#[test]
fn a_zips_links_stay_inside_as_a_tars_do() {
    for to in ["/etc/passwd", "../out", "a/../../out"] {
        let zip = zip_of(&[("l", 0o120_777, to)]);
        assert!(Case::new().refused(Format::Zip, &zip).contains("link out of"), "{to}");
    }
    let through = zip_of(&[("l", 0o120_777, "d"), ("l/f", 0o644, "x")]);
    Case::new().refused(Format::Zip, &through);
    for name in ["../x", "/x", "a/../../x"] {
        Case::new().refused(Format::Zip, &zip_of(&[(name, 0o644, "x")]));
    }
}
