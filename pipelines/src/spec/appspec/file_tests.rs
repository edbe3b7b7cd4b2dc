//! Traps in the files sections of appspecs.

use crate::spec::appspec::parse;
use crate::spec::{Kind, trial};

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    trial::check(Kind::Appspec, text, expected);
}

/// After a head of two lines that is all right.
#[track_caller]
fn check_after(text: &str, expected: &[&str]) {
    check(&format!("version: 0.0\nos: linux\n{text}"), expected);
}

#[test]
fn files_name_a_source_and_an_absolute_directory() {
    check_after("files:\n  - source: /\n    destination: /opt/shop\n", &[]);
    check_after("files:\n  - source: /\n", &["E missing-key 4:5"]);
    check_after("files:\n  source: /\n  destination: /x\n", &["E wrong-type 4:3"]);
    check_after(
        "files:\n  - {source: ../x, destination: opt}\n",
        &["E bad-path 4:14", "W bad-path 4:33"],
    );
    check_after(
        "files:\n  - {source: a, destination: /b, overwrite: yes}\n",
        &["W misplaced-key 4:34"],
    );
    check_after(
        "files:\n  - {source: '*', destination: ~/b}\n",
        &["W bad-path 4:14", "W bad-path 4:32"],
    );
    check("version: 0.0\nos: windows\nfiles:\n  - {source: \\, destination: 'c:\\x'}\n", &[]);
    for nothing in ["", " []", " {}"] {
        check_after(&format!("files:{nothing}\n"), &[]);
    }
}

#[test]
fn entries_of_files_that_went_wrong_are_told_how_to_mend() {
    let torn = "files:\n  - source: /\n  - destination: /opt/shop\n";
    check_after(torn, &["E missing-key 5:5"]);
    check_after("files: [/shop]\n", &["E wrong-type 3:9"]);
    let overwrite = "files:\n  - {source: a, destination: /b, overwrite: yes}\n";
    let help = |text: &str| {
        let text = format!("version: 0.0\nos: linux\n{text}");
        parse(&text).problems.remove(0).help
    };
    assert!(help(overwrite).contains("at the margin"));
    assert!(help(&format!("{overwrite}file_exists_behavior: OVERWRITE\n")).contains("remove it"));
    assert!(help("overwrite: yes\n").contains("OVERWRITE"));
    check_after("files:\n  - {source: a/../b, destination: /opt/../b}\n", &["W bad-path 4:35"]);
    check_after("files:\n  - {source: /, destination: $HOME/b}\n", &["W bad-path 4:30"]);
    check_after(
        "source: /\nlocation: a\nAfterInstall: []\nodd: 1\n",
        &["W misplaced-key 3:1", "W misplaced-key 4:1", "W misplaced-key 5:1", "W unknown-key 6:1"],
    );
}

#[test]
fn two_entries_of_files_may_not_meet() {
    let two = |first: &str, second: &str| {
        let entry = |pair: &str| {
            let (source, destination) = pair.split_once(" to ").unwrap();
            format!("  - {{source: {source}, destination: {destination}}}\n")
        };
        format!("files:\n{}{}", entry(first), entry(second))
    };
    let clashes = [
        ("a to /x", "./a/ to /x/"),
        ("a/x.conf to /etc", "b/x.conf to /etc"),
        ("/ to /srv", "config to /srv/config"),
        ("config to /srv/config", "/ to /srv"),
        ("/ to /srv", "public/index.html to /srv/public"),
        ("/ to /srv", "index.html to /srv"),
    ];
    for (first, second) in clashes {
        check_after(&two(first, second), &["E duplicate-destination 5:5"]);
    }
    let apart = [
        ("a to /x", "a to /y"),
        ("a/static to /x", "b/static to /x"),
        ("/ to /srv", "config to /etc/shop"),
        ("/ to /srv", "public to /srv"),
        ("a to /x", "ab to /x/b"),
    ];
    for (first, second) in apart {
        check_after(&two(first, second), &[]);
    }
}

#[test]
fn a_destination_is_a_directory_whatever_it_looks_like() {
    let file = |source: &str, destination: &str| {
        format!("files:\n  - {{source: {source}, destination: {destination}}}\n")
    };
    let at = "W bad-path 4:39";
    check_after(&file("nginx.conf", "/etc/nginx/nginx.conf"), &[at]);
    check_after(&file("nginx.conf", "/etc/nginx/shop.conf"), &[at]);
    check_after(&file("nginx.conf", "/etc/nginx/shop.conf/"), &[]);
    check_after(&file("nginx.conf", "/etc/nginx"), &[]);
    check_after(&file("conf.d", "/etc/nginx/conf.d"), &[]);
}
