//! Good archives come out as they went in; hostile ones leave nothing behind.

use super::*;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use tar::{Builder, EntryType, Header};

/// One entry: kind, name, mode, content or link target.
type Item<'i> = (EntryType, &'i str, u32, &'i str);

fn tar_of(items: &[Item<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, name, mode, content) in items {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_mtime(1_700_000_000);
        // The checked setters refuse what is to be tested.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        let body = if *kind == EntryType::Regular { *content } else { "" };
        if body.is_empty() {
            header.as_gnu_mut().unwrap().linkname[..content.len()]
                .copy_from_slice(content.as_bytes());
        }
        header.set_size(body.len() as u64);
        header.set_cksum();
        builder.append(&header, body.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

struct Case {
    dir: tempfile::TempDir,
    rules: Rules,
}

impl Case {
    fn new() -> Case {
        Case { dir: tempfile::tempdir().unwrap(), rules: Rules::default() }
    }

    fn target(&self) -> std::path::PathBuf {
        self.dir.path().join("target")
    }

    fn unpack(&self, format: Format, bytes: &[u8]) -> Result<Unpacked, ArchiveError> {
        let archive = self.dir.path().join("archive");
        std::fs::write(&archive, bytes).unwrap();
        unpack(&archive, format, &self.target(), &self.rules)
    }

    fn refusal(&self, items: &[Item<'_>]) -> String {
        let error = self.unpack(Format::Tar, &tar_of(items)).unwrap_err().to_string();
        assert!(!self.target().exists(), "something was left behind: {error}");
        error
    }
}

const F: EntryType = EntryType::Regular;
const D: EntryType = EntryType::Directory;
const L: EntryType = EntryType::Symlink;
const H: EntryType = EntryType::Link;

#[test]
fn files_directories_links_and_modes_come_out_as_they_went_in() {
    let items = [
        (D, "./", 0o755, ""),
        (D, "bin/", 0o750, ""),
        (F, "bin/run", 0o6755, "#!/bin/sh\n"),
        (F, "deep/er/file", 0o400, "x"),
        (L, "deep/link", 0o777, "er/file"),
        (L, "deep/up", 0o777, "../bin"),
        (H, "again", 0o644, "./bin/run"),
        (F, "empty", 0o644, ""),
    ];
    let tar = tar_of(&items);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&tar).unwrap();
    let zst = zstd::encode_all(&tar[..], 1).unwrap();
    let forms =
        [(Format::Tar, tar.clone()), (Format::TarGz, gz.finish().unwrap()), (Format::TarZst, zst)];
    for (format, bytes) in forms {
        let case = Case::new();
        let unpacked = case.unpack(format, &bytes).unwrap();
        assert_eq!(unpacked, Unpacked { files: 3, bytes: 11 }, "{format:?}");
        let at = |name: &str| case.target().join(name);
        let mode = |name: &str| at(name).metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode("bin"), 0o750);
        assert_eq!(mode("bin/run"), 0o755, "setuid is dropped");
        assert_eq!(mode("deep/er/file"), 0o600, "the owner can always write");
        assert_eq!(std::fs::read_to_string(at("deep/link")).unwrap(), "x");
        assert_eq!(std::fs::read_to_string(at("again")).unwrap(), "#!/bin/sh\n");
        let modified = at("bin/run").metadata().unwrap().modified().unwrap();
        let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(since.as_secs(), 1_700_000_000);
    }
}

#[test]
fn whatever_would_reach_outside_is_refused_and_nothing_stays() {
    let cases: [(&[Item<'_>], &str); 14] = [
        (&[(F, "ok", 0o644, "x"), (F, "../evil", 0o644, "x")], "out of the archive"),
        (&[(F, "/etc/evil", 0o644, "x")], "out of the archive"),
        (&[(F, "a/../../evil", 0o644, "x")], "out of the archive"),
        (&[(D, "a/../..", 0o755, "")], "out of the archive"),
        (&[(L, "l", 0o777, "/etc")], "link out of"),
        (&[(L, "a/l", 0o777, "../../x")], "link out of"),
        (&[(L, "l", 0o777, "a/../..")], "link out of"),
        (&[(L, "l", 0o777, "d"), (F, "l/through", 0o644, "x")], "no directory"),
        (&[(F, "f", 0o644, "x"), (F, "f/below", 0o644, "x")], "no directory"),
        (&[(F, "f", 0o644, "x"), (F, "./f", 0o644, "y")], "twice"),
        (&[(L, "l", 0o777, "f"), (F, "l", 0o644, "x")], "twice"),
        (&[(H, "h", 0o644, "/etc/shadow")], "hard link"),
        (&[(L, "l", 0o777, "x"), (H, "h", 0o644, "l")], "hard link"),
        (&[(EntryType::Fifo, "p", 0o644, "")], "pipe"),
    ];
    for (items, why) in cases {
        let refusal = Case::new().refusal(items);
        assert!(refusal.contains(why), "{items:?}: {refusal}");
    }
    assert!(Case::new().refusal(&[(EntryType::Block, "b", 0o644, "")]).contains("device"));
}

#[test]
fn links_out_are_data_where_only_a_container_follows_them() {
    let mut case = Case::new();
    case.rules.links = Links::Any;
    case.unpack(Format::Tar, &tar_of(&[(L, "l", 0o777, "/etc/passwd")])).unwrap();
    assert!(case.target().join("l").symlink_metadata().unwrap().is_symlink());
    let case = Case { rules: Rules { links: Links::Any, ..Rules::default() }, ..Case::new() };
    case.refusal(&[(L, "l", 0o777, "/tmp"), (F, "l/through", 0o644, "x")]);
}

#[test]
fn bombs_stop_at_the_limits() {
    let mut case = Case::new();
    case.rules.bytes_max = 10;
    assert!(case.refusal(&[(F, "a", 0o644, "12345"), (F, "b", 0o644, "123456")]).contains("bytes"));
    let case = Case { rules: Rules { entries_max: 2, ..Rules::default() }, ..Case::new() };
    let items = [(F, "a", 0o644, "1"), (F, "b", 0o644, "2"), (F, "c", 0o644, "3")];
    assert!(case.refusal(&items).contains("entry more"));
}

#[test]
fn damaged_archives_are_told_from_full_disks() {
    let tar = tar_of(&[(F, "a", 0o644, &"x".repeat(5000))]);
    let zst = zstd::encode_all(&tar[..], 1).unwrap();
    for (format, bytes) in [
        (Format::Tar, &tar[..3000]),
        (Format::TarZst, &zst[..zst.len() / 2]),
        (Format::TarZst, b"no archive".as_slice()),
        (Format::Zip, b"PK no archive"),
    ] {
        let case = Case::new();
        let error = case.unpack(format, bytes).unwrap_err();
        assert!(!error.is_disk_full());
        let harmless = matches!(error, ArchiveError::Damaged(_) | ArchiveError::Refused { .. });
        assert!(harmless, "{format:?}: {error}");
        assert!(!case.target().exists());
    }
}

#[test]
fn a_target_that_holds_something_is_left_alone() {
    let case = Case::new();
    std::fs::create_dir(case.target()).unwrap();
    std::fs::write(case.target().join("mine"), "x").unwrap();
    assert!(case.unpack(Format::Tar, &tar_of(&[(F, "a", 0o644, "x")])).is_err());
    assert_eq!(std::fs::read_to_string(case.target().join("mine")).unwrap(), "x");
}

#[test]
fn zips_follow_the_same_rules() {
    let zip_of = |items: &[(&str, u32, &str)]| {
        let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, mode, content) in items {
            let options = zip::write::SimpleFileOptions::default().unix_permissions(*mode);
            if mode & 0o170_000 == 0o120_000 {
                writer.add_symlink(*name, *content, options).unwrap();
            } else {
                writer.start_file(*name, options).unwrap();
                writer.write_all(content.as_bytes()).unwrap();
            }
        }
        writer.finish().unwrap().into_inner()
    };
    let good = zip_of(&[("bin/run", 0o755, "run"), ("link", 0o120_777, "bin/run")]);
    let case = Case::new();
    assert_eq!(case.unpack(Format::Zip, &good).unwrap(), Unpacked { files: 1, bytes: 3 });
    assert_eq!(std::fs::read_to_string(case.target().join("link")).unwrap(), "run");
    let mode = case.target().join("bin/run").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    for bad in [[("../x", 0o644, "x")], [("/x", 0o644, "x")], [("l", 0o120_777, "/etc/passwd")]] {
        let case = Case::new();
        assert!(case.unpack(Format::Zip, &zip_of(&bad)).is_err(), "{bad:?}");
        assert!(!case.target().exists());
    }
}

#[test]
fn in_a_sheltered_tree_only_the_owner_can_write_and_everybody_can_enter() {
    let rules = Rules { modes: Modes::Sheltered, ..Rules::default() };
    let case = Case { rules, ..Case::new() };
    let items = [
        (D, "open", 0o777, ""),
        (D, "shut", 0o700, ""),
        (F, "open/hook", 0o777, "x"),
        (F, "open/secret", 0o660, "x"),
        (F, "not/named/file", 0o666, "x"),
    ];
    case.unpack(Format::Tar, &tar_of(&items)).unwrap();
    for (name, expected) in [
        ("", 0o755),
        ("open", 0o755),
        ("shut", 0o755),
        ("not/named", 0o755),
        ("open/hook", 0o755),
        ("open/secret", 0o640),
        ("not/named/file", 0o644),
    ] {
        let mode = case.target().join(name).metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, expected, "{name}: {mode:o}");
    }
}

#[test]
fn metadata_is_not_taken_into_memory_without_a_limit() {
    for kind in [b'L', b'K', b'x', b'g', b'5'] {
        let mut builder = Builder::new(zstd::Encoder::new(Vec::new(), 1).unwrap());
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::new(kind));
        header.set_path("x").unwrap();
        header.set_mode(0o644);
        header.set_size(40 << 20);
        header.set_cksum();
        builder.append(&header, io::repeat(b'a').take(40 << 20)).unwrap();
        let bytes = builder.into_inner().unwrap().finish().unwrap();
        let case = Case::new();
        let error = case.unpack(Format::TarZst, &bytes).unwrap_err().to_string();
        assert!(error.contains("longer than is allowed"), "{}: {error}", kind as char);
        assert!(!case.target().exists());
    }
}

#[test]
fn long_names_and_their_files_come_out_as_they_went_in() {
    let long = format!("{}/file", ["directory"; 40].join("/"));
    let mut builder = Builder::new(Vec::new());
    for name in [long.as_str(), "short"] {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(300 << 10);
        builder.append_pax_extensions([("comment", "c".repeat(9000).as_bytes())]).unwrap();
        builder.append_data(&mut header, name, io::repeat(b'a').take(300 << 10)).unwrap();
    }
    let case = Case::new();
    case.unpack(Format::Tar, &builder.into_inner().unwrap()).unwrap();
    for name in [long.as_str(), "short"] {
        assert_eq!(case.target().join(name).metadata().unwrap().len(), 300 << 10);
    }
}

#[test]
fn an_archive_larger_than_the_disk_stops_before_the_disk_is_full() {
    let case = Case::new();
    let mut sink = Sink::new(&case.target(), &case.rules).unwrap();
    sink.space = 10;
    sink.file(b"fits", 0o644, None, &mut &b"12345"[..]).unwrap();
    let error = sink.file(b"more", 0o644, None, &mut io::repeat(b'x').take(1 << 20)).unwrap_err();
    assert!(error.is_disk_full(), "{error}");
    assert_eq!(case.target().join("more").metadata().unwrap().len(), 6);
}
