//! The table of CodeBuild's glob forms, and what a hostile workspace may hold.

use super::*;
use crate::build::artifacts::pack;
use std::os::unix::fs::{PermissionsExt as _, symlink};

struct Workspace {
    _dir: tempfile::TempDir,
    tree: Tree,
}

impl Workspace {
    fn with(files: &[&str]) -> Workspace {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree { host: dir.path().to_owned(), inside: "/build".into() };
        for file in files {
            let path = dir.path().join("src").join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        Workspace { _dir: dir, tree }
    }

    fn link(&self, target: &str, link: &str) {
        symlink(target, self.tree.host.join("src").join(link)).unwrap();
    }

    fn select(&self, set: &FileSet) -> Result<Selected, NothingThere> {
        select(&self.tree, Path::new("/build/src"), set)
    }

    fn names(&self, set: &FileSet) -> Vec<String> {
        let selected = self.select(set).unwrap();
        selected.entries.keys().map(|name| name.display().to_string()).collect()
    }
}

fn files(patterns: &[&str]) -> FileSet {
    FileSet { files: patterns.iter().map(|p| (*p).to_owned()).collect(), ..Default::default() }
}

const TREE: [&str; 8] = [
    "a.txt",
    ".hidden",
    "my-dir/b.txt",
    "my-dir/sub/c.txt",
    "my-dir/sub/d.jar",
    "my-build1/x",
    "my-build2/y",
    "pages/[id].js",
];

#[test]
fn every_form_of_codebuilds_globs_takes_what_the_guide_says() {
    let workspace = Workspace::with(&TREE);
    let all: Vec<&str> = {
        let mut all = TREE.to_vec();
        all.sort_unstable();
        all
    };
    let cases: [(&str, &[&str]); 14] = [
        ("a.txt", &["a.txt"]),
        ("./a.txt", &["a.txt"]),
        ("/build/src/a.txt", &["a.txt"]),
        ("my-dir/sub/c.txt", &["my-dir/sub/c.txt"]),
        ("**/*", &all),
        ("**", &all),
        ("*", &[".hidden", "a.txt"]),
        ("my-dir/*", &["my-dir/b.txt"]),
        ("my-dir/**/*", &["my-dir/b.txt", "my-dir/sub/c.txt", "my-dir/sub/d.jar"]),
        ("my-dir/**", &["my-dir/b.txt", "my-dir/sub/c.txt", "my-dir/sub/d.jar"]),
        ("**/*.jar", &["my-dir/sub/d.jar"]),
        ("my-build?/*", &["my-build1/x", "my-build2/y"]),
        ("my-{build1,dir}/[bx]*", &["my-build1/x", "my-dir/b.txt"]),
        ("pages/[id].js", &["pages/[id].js"]),
    ];
    for (pattern, expected) in cases {
        assert_eq!(workspace.names(&files(&[pattern])), expected, "{pattern}");
    }
}

#[test]
fn a_base_directory_is_left_out_of_the_names_and_may_be_a_glob() {
    let workspace = Workspace::with(&TREE);
    let based = |base: &str, pattern: &str| FileSet {
        base_directory: Some(base.to_owned()),
        ..files(&[pattern])
    };
    assert_eq!(workspace.names(&based("my-dir", "**/*.txt")), ["b.txt", "sub/c.txt"]);
    assert_eq!(workspace.names(&based("/build/src/my-dir/sub/", "*.jar")), ["d.jar"]);
    assert_eq!(workspace.names(&based("my-build*", "**/*")), ["x", "y"]);
    let error = workspace.select(&based("my-buidl1", "*")).unwrap_err().to_string();
    assert!(error.contains("did you mean 'my-build1'?"), "{error}");
    let error = workspace.select(&based("../..", "*")).unwrap_err().to_string();
    assert!(error.contains("out of the workspace"), "{error}");
}

#[test]
fn excluded_paths_are_left_out() {
    let workspace = Workspace::with(&TREE);
    let without = |excluded: &str| FileSet {
        exclude_paths: vec![excluded.to_owned()],
        ..files(&["my-dir/**/*", "a.txt"])
    };
    assert_eq!(workspace.names(&without("my-dir/sub/**/*")), ["a.txt", "my-dir/b.txt"]);
    assert_eq!(workspace.names(&without("my-dir/sub")), ["a.txt", "my-dir/b.txt"]);
    assert_eq!(workspace.names(&without("**/*.txt")), ["my-dir/sub/d.jar"]);
}

#[test]
fn flattened_files_that_collide_are_warned_about() {
    let workspace = Workspace::with(&["a/same", "b/same", "b/other"]);
    let set = FileSet { discard_paths: true, ..files(&["**/*"]) };
    let selected = workspace.select(&set).unwrap();
    assert_eq!(selected.entries.len(), 2);
    let [warning] = &selected.warnings[..] else { panic!("{:?}", selected.warnings) };
    assert!(warning.contains("src/b/same replaces src/a/same"), "{warning}");
}

#[test]
fn a_pattern_without_matches_warns_and_a_set_without_files_fails_both_with_near_misses() {
    let workspace = Workspace::with(&TREE);
    let selected = workspace.select(&files(&["a.txt", "c.txt", "my-dir"])).unwrap();
    assert!(selected.warnings[0].contains("did you mean 'my-dir/sub/c.txt'?"));
    assert!(selected.warnings[1].contains("write 'my-dir/**/*'"), "{:?}", selected.warnings);
    for (pattern, hint) in [
        ("target/*.jar", "my-dir/sub/d.jar"),
        ("A.TXT", "'a.txt'"),
        ("b.tx", "my-dir/b.txt"),
        ("$NAME.war", "not expanded"),
        ("/tmp/out.zip", "outside the source directory"),
        ("../x", "leads out"),
    ] {
        let error = workspace.select(&files(&[pattern])).unwrap_err().to_string();
        assert!(error.starts_with("no matching artifact paths found"), "{error}");
        assert!(error.contains(hint), "{pattern}: {error}");
    }
}

#[test]
fn links_never_take_anything_from_outside() {
    let workspace = Workspace::with(&["a/file", "b"]);
    for (target, link) in [
        ("a/file", "to-file"),
        ("a", "to-directory"),
        ("/etc/passwd", "to-etc"),
        ("../../../../etc/passwd", "up"),
        ("/build/src/b", "absolute"),
        ("nowhere", "dangling"),
    ] {
        workspace.link(target, link);
    }
    assert_eq!(
        workspace.names(&files(&["**/*"])),
        ["a/file", "absolute", "b", "to-file"],
        "followed"
    );
    let kept = FileSet { enable_symlinks: true, ..files(&["**/*"]) };
    workspace.link("../b", "a/back");
    let selected = workspace.select(&kept).unwrap();
    let links: Vec<(String, String)> = selected
        .entries
        .iter()
        .filter_map(|(name, entry)| match &entry.kind {
            Kind::Link(target) => Some((name.display().to_string(), target.display().to_string())),
            Kind::File => None,
        })
        .collect();
    let expected =
        [("a/back", "../b"), ("absolute", "b"), ("to-directory", "a"), ("to-file", "a/file")];
    assert_eq!(links, expected.map(|(n, t)| (n.to_owned(), t.to_owned())));
    assert_eq!(selected.warnings.len(), 3, "{:?}", selected.warnings);
}

#[test]
fn the_same_files_make_the_same_archive_whatever_their_times() {
    let pack_of = |mode: u32| {
        let workspace = Workspace::with(&["bin/run", "z", "a"]);
        workspace.link("z", "l");
        let run = workspace.tree.host.join("src/bin/run");
        std::fs::set_permissions(run, std::fs::Permissions::from_mode(mode)).unwrap();
        let set = FileSet { enable_symlinks: true, ..files(&["**/*"]) };
        let selected = workspace.select(&set).unwrap();
        let out = workspace.tree.host.join("out.tar.zst");
        pack(&selected, &out).unwrap();
        std::fs::read(out).unwrap()
    };
    let first = pack_of(0o4755);
    assert_eq!(first, pack_of(0o755));
    assert_ne!(first, pack_of(0o644));
    let mut archive = tar::Archive::new(zstd::Decoder::new(&first[..]).unwrap());
    let entries: Vec<(String, u32)> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            (name, entry.header().mode().unwrap())
        })
        .collect();
    let expected = [("a", 0o644), ("bin/run", 0o755), ("l", 0o777), ("z", 0o644)];
    assert_eq!(entries, expected.map(|(name, mode)| (name.to_owned(), mode)));
}
