//! A crash between any two changes of an installation.

use super::super::plan::{Scene, plan};
use super::super::shared::Shared;
use super::super::undo::{Settled, settle};
use super::*;
use pipelines::ids::DeploymentId;
use pipelines::spec::appspec::{FileExists, parse};
use std::os::unix::fs::{MetadataExt, symlink};

struct Host {
    dir: tempfile::TempDir,
    home: Home,
}

fn stand(n: u8) -> Stand {
    Stand { digest: format!("{n:02x}").repeat(32).parse().unwrap(), deployment: DeploymentId(1) }
}

impl Host {
    /// With a first revision, files of others, and everything a second one can do to them.
    fn new() -> Host {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(&dir.path().join("state"), "web").unwrap();
        let host = Host { dir, home };
        host.write("one", &["same", "gone", "sub/gone", "thing", "tree/a", "tree/b"]);
        symlink("same", host.dir.path().join("one/link")).unwrap();
        let plan = host.plan("one");
        install(&host.home, &plan, &stand(1)).unwrap();
        std::fs::write(host.dir.path().join("app/foreign"), "theirs").unwrap();
        std::fs::write(host.dir.path().join("app/sub/theirs"), "theirs").unwrap();
        host.write("two", &["same", "new/new", "thing/inside", "tree", "foreign", "link"]);
        host
    }

    fn write(&self, release: &str, files: &[&str]) {
        for file in files {
            let path = self.dir.path().join(release).join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, release).unwrap();
        }
    }

    fn plan(&self, release: &str) -> Plan {
        let top = self.dir.path().display();
        let text = format!(
            "version: 0.0\nos: linux\nfiles:\n  - source: /\n    destination: {top}/app\n\
             permissions:\n  - object: {top}/app\n    mode: 700\n    type: [directory]\n"
        );
        let appspec = parse(&text).value.unwrap();
        let own = self.home.manifest().unwrap();
        let others = BTreeMap::new();
        let release = self.dir.path().join(release);
        let behavior = FileExists::Overwrite;
        let scene = Scene {
            home: &self.home,
            release: &release,
            appspec: &appspec,
            behavior,
            own: own.as_ref(),
            others: &others,
            shared: &Shared::default(),
        };
        let (plan, problems) = plan(&scene);
        assert_eq!(problems, []);
        plan
    }

    fn tree(&self) -> Vec<String> {
        let top = self.dir.path().join("app");
        let entries = walkdir::WalkDir::new(&top).sort_by_file_name().into_iter();
        let line = |entry: walkdir::DirEntry| {
            let meta = entry.metadata().unwrap();
            let content = std::fs::read_to_string(entry.path()).unwrap_or_default();
            // The very same files have to be there, not others like them.
            let inode = if meta.is_dir() { 0 } else { meta.ino() };
            format!("{} {:o} {inode} {content}", entry.path().display(), meta.mode())
        };
        entries.map(|entry| line(entry.unwrap())).collect()
    }
}

#[test]
fn a_crash_between_any_two_changes_is_undone_also_when_undoing_crashes() {
    let whole = {
        let host = Host::new();
        let plan = host.plan("two");
        changes(&plan, &prepare(&plan, "x").unwrap()).len()
    };
    assert!(whole > 20, "the case is too small: {whole} changes");
    for crash_after in 0..=whole {
        let host = Host::new();
        let before = host.tree();
        let plan = host.plan("two");
        let undo = prepare(&plan, "x").unwrap();
        undo.save(&host.home).unwrap();
        for change in changes(&plan, &undo).iter().take(crash_after) {
            change.make(&mut Marks::new()).unwrap();
        }
        // Undoing once without noting it is as if it had crashed at its very end.
        let noted = std::fs::read(host.home.undo_path()).unwrap();
        assert_eq!(settle(&host.home).unwrap(), Settled::Undone);
        assert_eq!(host.tree(), before, "after {crash_after} of {whole} changes");
        std::fs::write(host.home.undo_path(), noted).unwrap();
        assert_eq!(settle(&host.home).unwrap(), Settled::Undone);
        assert_eq!(host.tree(), before, "undone twice after {crash_after} changes");
        assert_eq!(settle(&host.home).unwrap(), Settled::Nothing);
    }
}

#[test]
fn a_crash_after_the_manifest_was_written_is_finished() {
    let host = Host::new();
    let plan = host.plan("two");
    let undo = prepare(&plan, "x").unwrap();
    undo.save(&host.home).unwrap();
    changes(&plan, &undo).iter().try_for_each(|change| change.make(&mut Marks::new())).unwrap();
    let entries = entries(&plan);
    let manifest = Manifest { install: "x".into(), stand: stand(2), entries };
    let installed = || crate::deploy::installed(host.home.state()).remove(0).digest;
    assert_eq!(installed(), None);
    host.home.set_manifest(&manifest).unwrap();
    assert_eq!(installed(), Some(stand(2).digest), "also before all is cleaned up");
    assert_eq!(settle(&host.home).unwrap(), Settled::Finished);
    let names: Vec<String> = host
        .tree()
        .iter()
        .map(|line| line.split_whitespace().next().unwrap().rsplit("/app").next().unwrap().into())
        .collect();
    assert_eq!(
        names,
        [
            "",
            "/foreign",
            "/link",
            "/new",
            "/new/new",
            "/same",
            "/sub",
            "/sub/theirs",
            "/thing",
            "/thing/inside",
            "/tree"
        ]
    );
}

#[test]
fn attributes_never_reach_through_a_link_that_was_put_in_the_place_of_ours() {
    let dir = tempfile::tempdir().unwrap();
    let (victim, link) = (dir.path().join("victim"), dir.path().join("link"));
    std::fs::create_dir(&victim).unwrap();
    std::fs::set_permissions(&victim, Permissions::from_mode(0o700)).unwrap();
    symlink(&victim, &link).unwrap();
    let open = Attributes { mode: Some(0o777), ..Attributes::default() };
    Change::Attributes(&link, &open).make(&mut Marks::new()).unwrap_err();
    let before = Before { path: link, uid: 0, gid: 0, mode: 0o777 };
    let undo = Undo { attributes: vec![before], ..Undo::default() };
    let home = Home::open(&dir.path().join("state"), "web").unwrap();
    undo.revert(&home).unwrap();
    assert_eq!(victim.metadata().unwrap().mode() & 0o777, 0o700);
}

#[test]
fn what_somebody_put_where_we_want_to_stays_theirs() {
    let host = Host::new();
    let theirs = host.dir.path().join("app/new/new");
    let put = || {
        std::fs::create_dir_all(theirs.parent().unwrap()).unwrap();
        std::fs::write(&theirs, "theirs").unwrap();
    };
    // After the plan, before a crash.
    let plan = host.plan("two");
    prepare(&plan, "x").unwrap().save(&host.home).unwrap();
    put();
    assert_eq!(settle(&host.home).unwrap(), Settled::Undone);
    assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "theirs");
    // While the new files are written.
    std::fs::remove_dir_all(theirs.parent().unwrap()).unwrap();
    let before = host.tree();
    let undo = prepare(&plan, "y").unwrap();
    undo.save(&host.home).unwrap();
    let made = changes(&plan, &undo).iter().try_for_each(|change| {
        if matches!(change, Change::Sync(_)) {
            put();
        }
        change.make(&mut Marks::new())
    });
    assert_eq!(made.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(settle(&host.home).unwrap(), Settled::Undone);
    assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "theirs");
    std::fs::remove_dir_all(theirs.parent().unwrap()).unwrap();
    assert_eq!(host.tree(), before);
}

#[test]
fn a_file_system_without_second_names_is_undone_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let placed = Placed { path: at("path"), fresh: at(".pipeyard-x-1.new"), old: None };
    let undo = Undo { items: vec![placed.clone()], ..Undo::default() };
    let home = Home::open(&at("state"), "web").unwrap();
    std::fs::write(&placed.fresh, "ours").unwrap();
    place_without_links(&placed).unwrap();
    assert_eq!(std::fs::read_to_string(&placed.path).unwrap(), "ours");
    undo.revert(&home).unwrap();
    assert!(!placed.path.exists() && !placed.marker().exists());
    std::fs::write(&placed.fresh, "ours").unwrap();
    std::fs::write(&placed.path, "theirs").unwrap();
    place_without_links(&placed).unwrap_err();
    undo.revert(&home).unwrap();
    assert_eq!(std::fs::read_to_string(&placed.path).unwrap(), "theirs");
    assert!(!placed.fresh.exists());
}

#[test]
fn a_directory_that_was_removed_meanwhile_does_not_keep_an_undo_from_ending() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(&dir.path().join("state"), "web").unwrap();
    let at = |name: &str| dir.path().join("gone").join(name);
    let moved = Moved { path: at("a"), old: at("b") };
    let placed = Placed { path: at("c"), fresh: at("d"), old: Some(at("e")) };
    let undo = Undo {
        items: vec![placed.clone(), Placed { old: None, ..placed }],
        asides: vec![moved.clone()],
        removals: vec![moved],
        directories: vec![at("f")],
        attributes: vec![Before { path: at("g"), uid: 0, gid: 0, mode: 0o700 }],
        ..Undo::default()
    };
    undo.save(&home).unwrap();
    assert_eq!(settle(&home).unwrap(), Settled::Undone);
}

/// Whoever owns a directory on the way can swap it whenever he likes.
#[test]
fn a_directory_that_becomes_a_link_at_any_moment_leads_nothing_elsewhere() {
    use std::os::unix::fs::lchown;
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not tried: only root can make links of others");
        return;
    }
    let whole = {
        let host = Host::new();
        let plan = host.plan("two");
        changes(&plan, &prepare(&plan, "x").unwrap()).len()
    };
    for swapped_before in 0..whole {
        let host = Host::new();
        let at = |name: &str| host.dir.path().join(name);
        std::fs::create_dir(at("victim")).unwrap();
        std::fs::write(at("victim/same"), "root's").unwrap();
        let plan = host.plan("two");
        let undo = prepare(&plan, "x").unwrap();
        undo.save(&host.home).unwrap();
        for (n, change) in changes(&plan, &undo).iter().enumerate() {
            if n == swapped_before {
                std::fs::rename(at("app"), at("moved")).unwrap();
                symlink(at("victim"), at("app")).unwrap();
                lchown(at("app"), Some(65534), Some(65534)).unwrap();
            }
            if change.make(&mut Marks::new()).is_err() {
                break;
            }
        }
        let untouched = |when: &str| {
            let left: Vec<_> = std::fs::read_dir(at("victim")).unwrap().collect();
            assert_eq!(left.len(), 1, "swapped before {swapped_before}, {when}: {left:?}");
            assert_eq!(std::fs::read_to_string(at("victim/same")).unwrap(), "root's");
        };
        untouched("installed");
        // It cannot be undone where it is not any more; it must not be undone anywhere else.
        let _ = settle(&host.home);
        untouched("undone");
    }
}
