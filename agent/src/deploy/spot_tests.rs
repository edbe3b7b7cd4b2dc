//! What happens to those who swap directories while the agent works, and which links it follows.

use super::*;
use std::os::unix::fs::{lchown, symlink};

/// A host where user 65534 owns `app` and all in it, with a directory of root's beside it.
fn host() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().canonicalize().unwrap();
    for name in ["app", "app/v1", "app/v1/conf", "cron.d"] {
        std::fs::create_dir(top.join(name)).unwrap();
    }
    for name in ["app", "app/v1"] {
        lchown(top.join(name), Some(65534), Some(65534)).unwrap();
    }
    (dir, top)
}

fn link(to: &Path, at: &Path, owner: u32) {
    symlink(to, at).unwrap();
    lchown(at, Some(owner), Some(owner)).unwrap();
}

#[test]
fn a_link_of_the_application_leads_to_its_own_directories_only() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not tried: only root can make links of others");
        return;
    }
    let (_dir, top) = host();
    link(Path::new("v1"), &top.join("app/current"), 65534);
    link(&top.join("cron.d"), &top.join("app/evil"), 65534);
    link(Path::new("../cron.d"), &top.join("app/up"), 65534);
    // By way of a directory of his own, and by way of a good link.
    link(Path::new("../v1/../../cron.d"), &top.join("app/v1/winding"), 65534);
    link(Path::new("current/conf"), &top.join("app/roots"), 65534);
    link(&top.join("cron.d"), &top.join("app/admins"), 0);
    link(Path::new("admins"), &top.join("app/borrowed"), 65534);
    link(Path::new("loop"), &top.join("app/loop"), 65534);
    for (path, followed) in [
        ("app/current", true),
        ("app/current/conf", true),
        ("app/admins", true),
        ("app/evil", false),
        ("app/up", false),
        ("app/v1/winding", false),
        ("app/roots", false),
        ("app/borrowed", false),
    ] {
        assert_eq!(!is_led_astray(&top.join(path)), followed, "{path}");
        let made = create_dir(&top.join(path).join("new"));
        assert_eq!(made.is_ok(), followed, "{path}: {made:?}");
        let _ = std::fs::remove_dir(top.join(path).join("new"));
    }
    assert!(create_dir(&top.join("app/loop/new")).is_err());
    let missing = create_dir(&top.join("app/none/new")).unwrap_err();
    assert!(is_gone(&missing));
}

#[test]
fn whatever_is_swapped_after_a_directory_was_found_the_work_stays_in_it() {
    let (_dir, top) = host();
    let spot = Spot::of(&top.join("app/v1/file")).unwrap();
    std::fs::rename(top.join("app/v1"), top.join("app/moved")).unwrap();
    symlink(top.join("cron.d"), top.join("app/v1")).unwrap();
    std::fs::write(spot.path(), "x").unwrap();
    assert!(top.join("app/moved/file").exists() && !top.join("cron.d/file").exists());
}

#[test]
fn no_operation_goes_through_a_link_that_is_not_followed() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not tried: only root can make links of others");
        return;
    }
    let (_dir, top) = host();
    let victim = top.join("cron.d/job");
    std::fs::write(&victim, "root's").unwrap();
    std::fs::create_dir(top.join("cron.d/dir")).unwrap();
    link(&top.join("cron.d"), &top.join("app/d"), 65534);
    let at = |name: &str| top.join("app/d").join(name);
    let refused = [
        rename(&at("job"), &at("gone")),
        rename_to_nothing(&at("job"), &at("gone")),
        hard_link(&at("job"), &at("second")),
        super::symlink(Path::new("x"), &at("link")),
        create_new(&at("new")).map(drop),
        open(&at("job")).map(drop),
        metadata(&at("job")).map(drop),
        remove_file(&at("job")),
        remove_dir(&at("dir")),
        remove_tree(&at("dir")),
    ];
    for (n, result) in refused.into_iter().enumerate() {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{n}: {error}");
    }
    let left: Vec<_> = std::fs::read_dir(top.join("cron.d")).unwrap().collect();
    assert_eq!((left.len(), std::fs::read_to_string(victim).unwrap().as_str()), (2, "root's"));
}
