//! What CodeDeploy's own agent is tested for, as tests of this one. Each row of its suites, and where it
//! is held to:
//!
//! | suite | where |
//! |---|---|
//! | the 18 local scenarios | `local.rs`, whose names begin with the scenario's number; 8 (S3) is out |
//! | appspec, modes, ACL and SELinux words | `pipelines/src/spec/appspec/tests` |
//! | permissions: object, pattern, except, type, twice | here, and `deploy/permissions.rs` |
//! | instructions: clashes while planning | here, `two_entries_…` and `everything_wrong_…` in `deploy.rs` |
//! | cleanup: order, directories that are not empty | here, `what_the_new_revision_lacks_…` |
//! | cleanup: a mangled last line | does not arise: the manifest is written as a whole, `install_tests.rs` |
//! | installer: existing files by three behaviours | here, `a_file_in_the_way_…` |
//! | installer: missing destinations, empty files, nesting | here, `ancestors_…` |
//! | hooks: revision per event | `parts.rs`, `deploy/steps.rs` |
//! | hooks: time limits, missing, output left open, runas | `hooks.rs`, `parts.rs` |
//! | executor: kinds of bundles, one command and its events | `local.rs`, `parts.rs` |
//! | executor: debris in an archive | a damaged archive is refused, `archive/hostile_tests.rs` |
//! | poller, tracker: doubled delivery, restart, reboot | `agent.rs`, `resume.rs` |
//! | S3, GitHub, metadata, on-premises files | out: bundles come from the controller |

mod support;

use pipelines::protocol::report::ErrorCode;
use pipelines::spec::appspec::FileExists;
use support::bundle::Host;

/// All events, each with a script that writes event, revision and deployment to the witness file.
const APPSPEC: &str = "\
version: 0.0
os: linux
files:
  - source: app
    destination: $HOST/app
hooks:
  ApplicationStop: [{location: hook.sh}]
  BeforeInstall: [{location: hook.sh}]
  AfterInstall: [{location: hook.sh}]
  ApplicationStart: [{location: hook.sh}]
  ValidateService: [{location: hook.sh}]
";

fn hook(version: &str) -> String {
    format!("#!/bin/sh\necho \"$LIFECYCLE_EVENT {version}\" >> $HOST/witness\n")
}

fn revision<'a>(hook: &'a str, files: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![("appspec.yml", APPSPEC), ("hook.sh", hook)];
    all.extend_from_slice(files);
    all
}

#[tokio::test]
async fn a_file_in_the_way_follows_the_behavior_of_the_appspec_before_that_of_the_group() {
    for (of_group, of_appspec, expected) in [
        (None, None, None),
        (Some(FileExists::Overwrite), None, Some("mine")),
        (Some(FileExists::Retain), None, Some("theirs")),
        (Some(FileExists::Retain), Some("OVERWRITE"), Some("mine")),
        (Some(FileExists::Overwrite), Some("DISALLOW"), None),
    ] {
        let mut host = Host::new();
        host.write("app/file", "theirs");
        let appspec = match of_appspec {
            Some(choice) => format!("{APPSPEC}file_exists_behavior: {choice}\n"),
            None => APPSPEC.to_owned(),
        };
        let one = hook("1");
        let mut files = revision(&one, &[("app/file", "mine"), ("app/other", "mine")]);
        files[0].1 = &appspec;
        let done = host.deploy_with(&files, |d| d.file_exists_behavior = of_group).await;
        let Some(expected) = expected else {
            let error = done.failed(ErrorCode::FileExists);
            assert!(error.touched && error.step.as_deref() == Some("Install"), "{error:?}");
            assert_eq!(host.witness(), ["BeforeInstall 1"]);
            assert_eq!(host.tree("app"), ["file = \"theirs\" 644 0"]);
            continue;
        };
        done.succeeded();
        assert_eq!(host.read("app/file").as_deref(), Some(expected));
        // What is theirs stays theirs, also when the revision goes.
        host.deploy(&revision(&one, &[("app/other", "mine")])).await.succeeded();
        let left = (expected == "theirs").then_some("theirs");
        assert_eq!(host.read("app/file").as_deref(), left);
    }
}

#[tokio::test]
async fn what_before_install_takes_away_is_not_in_the_way() {
    let mut host = Host::new();
    host.write("app/file", "theirs");
    let files = [("app/file", "mine"), ("app/other", "mine")];
    let cure = "#!/bin/sh\n[ $LIFECYCLE_EVENT != BeforeInstall ] || rm $HOST/app/file\n";
    let done = host.deploy(&revision(cure, &files)).await;
    done.succeeded();
    assert!(done.log.contains("unless a script of BeforeInstall takes it away first"));
    assert_eq!(host.read("app/file").as_deref(), Some("mine"));

    // Where no script runs before, it is found before anything is touched.
    let mut host = Host::new();
    host.write("app/file", "theirs");
    let appspec = APPSPEC.replace("  BeforeInstall: [{location: hook.sh}]\n", "");
    let mut files = revision(cure, &files);
    files[0].1 = &appspec;
    let refused = host.deploy(&files).await;
    let error = refused.failed(ErrorCode::FileExists);
    assert!(!error.touched && error.step.as_deref() == Some("DownloadBundle"), "{error:?}");
}

#[tokio::test]
async fn a_pipe_where_a_directory_is_wanted_is_in_the_way_and_stays() {
    let mut host = Host::new();
    host.write("app/other", "x");
    let mode = nix::sys::stat::Mode::S_IRWXU;
    nix::unistd::mkfifo(&host.path("app/sub"), mode).unwrap();
    let one = hook("1");
    let refused = host.deploy(&revision(&one, &[("app/sub/file", "mine")])).await;
    let error = refused.failed(ErrorCode::FileExists);
    assert_eq!(error.step.as_deref(), Some("Install"));
    assert!(host.path("app/sub").exists());
}

#[tokio::test]
async fn links_stay_links_and_things_may_change_their_kind() {
    let mut host = Host::new();
    let one = hook("1");
    let v1 =
        [("app/real/file", "1"), ("app/link", "-> real"), ("app/thing", "file"), ("app/d/x", "x")];
    let v2 =
        [("app/real/file", "2"), ("app/link/file", "dir"), ("app/thing/y", "y"), ("app/d", "f")];
    host.deploy(&revision(&one, &v1)).await.succeeded();
    let first = host.tree("app");
    assert!(first.contains(&"link -> real 777 0".to_owned()), "{first:?}");
    host.deploy(&revision(&one, &v2)).await.succeeded();
    assert_eq!(host.read("app/link/file").as_deref(), Some("dir"));
    assert_eq!(host.read("app/thing/y").as_deref(), Some("y"));
    assert_eq!(host.read("app/d").as_deref(), Some("f"));
    host.deploy(&revision(&one, &v1)).await.succeeded();
    assert_eq!(host.tree("app"), first);
}

#[tokio::test]
async fn permissions_are_as_the_appspec_says_and_setuid_survives_the_owner() {
    let mut host = Host::new();
    let appspec = format!(
        "{APPSPEC}permissions:\n  \
         - {{object: $HOST/app, pattern: '*.bin', owner: nobody, mode: 4755, type: [file]}}\n  \
         - {{object: $HOST/app/sub, mode: 750, owner: nobody, group: nogroup}}\n  \
         - {{object: $HOST/app/acl, mode: 640, acls: ['u:nobody:rw']}}\n"
    );
    let one = hook("1");
    let mut files = revision(
        &one,
        &[("app/a.bin", "a"), ("app/sub/deep/b", "b"), ("app/plain", "p"), ("app/acl", "x")],
    );
    files[0].1 = &appspec;
    host.deploy(&files).await.succeeded();
    let uid = nix::unistd::User::from_name("nobody").unwrap().unwrap().uid;
    assert_eq!(
        host.tree("app"),
        [
            format!("a.bin = \"a\" 4755 {uid}"),
            // With an ACL the group bits show its mask.
            "acl = \"x\" 660 0".to_owned(),
            "plain = \"p\" 644 0".to_owned(),
            "sub/ 755 0".to_owned(),
            format!("sub/deep/ 750 {uid}"),
            format!("sub/deep/b = \"b\" 750 {uid}"),
        ]
    );
}

#[tokio::test]
async fn two_groups_share_a_directory_but_not_their_files() {
    let mut host = Host::new();
    let one = hook("1");
    host.deploy(&revision(&one, &[("app/a", "web"), ("app/both", "web")])).await.succeeded();
    let other = |d: &mut pipelines::protocol::task::Deploy| d.group = "api".into();
    let refused = host.deploy_with(&revision(&one, &[("app/both", "api")]), other).await;
    let message = &refused.failed(ErrorCode::FileExists).message;
    assert!(message.contains("deployment group 'web'"), "{message}");

    let takes_over = |d: &mut pipelines::protocol::task::Deploy| {
        d.group = "api".into();
        d.file_exists_behavior = Some(FileExists::Overwrite);
    };
    let files = revision(&one, &[("app/both", "api"), ("app/b", "api")]);
    host.deploy_with(&files, takes_over).await.succeeded();
    host.deploy(&revision(&one, &[("app/c", "web")])).await.succeeded();
    assert_eq!(host.read("app/both").as_deref(), Some("api"), "it has been taken over");
    assert_eq!((host.read("app/a"), host.read("app/c").as_deref()), (None, Some("web")));
}

#[tokio::test]
async fn a_pattern_with_exceptions_a_type_and_acls_each_reach_what_they_name() {
    let mut host = Host::new();
    let appspec = format!(
        "{APPSPEC}permissions:\n  \
         - {{object: $HOST/app, pattern: '*.sh', except: [keep.sh, 'old*'], mode: 700, type: [file]}}\n  \
         - {{object: $HOST/app/data, type: [directory], mode: 2770, group: nogroup, acls: ['d:u:nobody:rwx']}}\n  \
         - {{object: $HOST/app/data, type: [file], mode: '60'}}\n  \
         - {{object: $HOST/app/nothing, mode: 600}}\n"
    );
    let one = hook("1");
    let content = [
        ("app/run.sh", ""),
        ("app/keep.sh", ""),
        ("app/old1.sh", ""),
        ("app/sub/run.sh", ""),
        ("app/data/in/file", ""),
    ];
    let mut files = revision(&one, &content);
    files[0].1 = &appspec;
    let done = host.deploy(&files).await;
    done.succeeded();
    assert_eq!(
        host.tree("app"),
        [
            "data/ 755 0",
            // The object itself is never changed, what is below it is.
            "data/in/ 2770 0",
            "data/in/file = \"\" 60 0",
            "keep.sh = \"\" 755 0",
            "old1.sh = \"\" 755 0",
            "run.sh = \"\" 700 0",
            "sub/ 755 0",
            "sub/run.sh = \"\" 755 0",
        ]
    );
    assert!(done.log.contains("app/nothing: nothing that is installed"), "{}", done.log);
    let acl =
        std::process::Command::new("getfacl").arg("-cp").arg(host.path("app/data/in")).output();
    match acl {
        Ok(acl) => {
            let acl = String::from_utf8_lossy(&acl.stdout).into_owned();
            assert!(acl.contains("default:user:nobody:rwx"), "{acl}");
        }
        Err(e) => eprintln!("not looked at: getfacl: {e}"),
    }
}

#[tokio::test]
async fn two_entries_for_one_place_are_an_error_and_two_directories_are_not() {
    for (extra, expected) in [
        ("  - {source: a/f, destination: $HOST/app}\n", "has two sources"),
        ("  - {source: app, destination: $HOST/app/f}\n", "both a file and a directory"),
        ("  - {source: sub/, destination: $HOST/app/}\n", ""),
    ] {
        let mut host = Host::new();
        let appspec = APPSPEC.replace("hooks:", &format!("{extra}hooks:"));
        let one = hook("1");
        let mut files =
            revision(&one, &[("app/f", "1"), ("app/d/x", "1"), ("a/f", "2"), ("sub/d/y", "2")]);
        files[0].1 = &appspec;
        let done = host.deploy(&files).await;
        if expected.is_empty() {
            done.succeeded();
            let all = ["d/ 755 0", "d/x = \"1\" 644 0", "d/y = \"2\" 644 0", "f = \"1\" 644 0"];
            assert_eq!(host.tree("app"), all);
            continue;
        }
        let error = done.failed(ErrorCode::AppspecInvalid);
        assert!(error.message.contains(expected) && !error.touched, "{error:?}");
    }
}

/// To a file and to a directory; where nothing is, and over what is there.
#[tokio::test]
async fn links_are_copied_as_links_in_all_four_cases() {
    let links = [("app/file", "-> real"), ("app/dir", "-> sub"), ("app/dangling", "-> no/where")];
    let content = [&links[..], &[("app/real", "r"), ("app/sub/x", "x")]].concat();
    for there in [false, true] {
        let mut host = Host::new();
        if there {
            host.write("app/file", "theirs");
            host.write("elsewhere/x", "theirs");
            std::os::unix::fs::symlink("../elsewhere", host.path("app/dir")).unwrap();
        }
        let one = hook("1");
        let overwrite = |d: &mut pipelines::protocol::task::Deploy| {
            d.file_exists_behavior = Some(FileExists::Overwrite);
        };
        host.deploy_with(&revision(&one, &content), overwrite).await.succeeded();
        for (path, to) in [("file", "real"), ("dir", "sub"), ("dangling", "no/where")] {
            let found = std::fs::read_link(host.path("app").join(path)).unwrap();
            assert_eq!(found.to_str(), Some(to), "{there}");
        }
        assert_eq!(host.read("elsewhere/x").as_deref(), there.then_some("theirs"));
        // Again over our own, and then none of them.
        host.deploy(&revision(&one, &content)).await.succeeded();
        host.deploy(&revision(&one, &[("app/real", "r")])).await.succeeded();
        assert_eq!(host.tree("app"), ["real = \"r\" 644 0"]);
        assert_eq!(host.read("elsewhere/x").as_deref(), there.then_some("theirs"));
    }
}

#[tokio::test]
async fn two_applications_that_share_a_parent_directory_leave_it_to_each_other() {
    let mut host = Host::new();
    let one = hook("1");
    let spec = |below: &str| APPSPEC.replace("$HOST/app", &format!("$HOST/srv/shared/{below}"));
    let (web, api, none) =
        (spec("web"), spec("api"), spec("web").replace("source: app", "source: e"));
    let of = |group: &'static str| {
        move |d: &mut pipelines::protocol::task::Deploy| d.group = group.to_owned()
    };
    let mut files = revision(&one, &[("app/a", "web"), ("app/deep/b", "web"), ("e/c", "web")]);
    files[0].1 = &web;
    host.deploy_with(&files, of("web")).await.succeeded();
    files[0].1 = &api;
    host.deploy_with(&files, of("api")).await.succeeded();
    // The first one made the parent. It goes away from it, and the other one stays.
    let elsewhere = none.replace("$HOST/srv/shared/web", "$HOST/other");
    files[0].1 = &elsewhere;
    host.deploy_with(&files, of("web")).await.succeeded();
    let left =
        ["api/ 755 0", "api/a = \"web\" 644 0", "api/deep/ 755 0", "api/deep/b = \"web\" 644 0"];
    assert_eq!(host.tree("srv/shared"), left);
    let elsewhere = none.replace("$HOST/srv/shared/web", "$HOST/another");
    files[0].1 = &elsewhere;
    host.deploy_with(&files, of("api")).await.succeeded();
    assert!(!host.path("srv/shared/api").exists());
    // It was made by the first one, which left it to the second; now nobody has anything in it.
    host.deploy_with(&files, |d| {
        d.group = "web".into();
        d.file_exists_behavior = Some(FileExists::Overwrite);
    })
    .await
    .succeeded();
    assert!(!host.path("srv").exists(), "{:?}", host.tree("srv"));
}

#[tokio::test]
async fn ancestors_are_made_and_empty_files_and_nested_directories_come_along() {
    let mut host = Host::new();
    let one = hook("1");
    let appspec = APPSPEC.replace("$HOST/app", "$HOST/not/yet/there");
    let mut files = revision(&one, &[("app/empty", ""), ("app/a/b/c", "c"), ("app/a/empty", "")]);
    files[0].1 = &appspec;
    host.deploy(&files).await.succeeded();
    let all = [
        "a/ 755 0",
        "a/b/ 755 0",
        "a/b/c = \"c\" 644 0",
        "a/empty = \"\" 644 0",
        "empty = \"\" 644 0",
    ];
    assert_eq!(host.tree("not/yet/there"), all);
}

#[tokio::test]
async fn what_the_new_revision_lacks_goes_but_no_directory_that_holds_anything() {
    let mut host = Host::new();
    let one = hook("1");
    let v1 = [("app/gone/deep/file", "1"), ("app/held/file", "1"), ("app/stays", "1")];
    host.deploy(&revision(&one, &v1)).await.succeeded();
    host.write("app/held/users", "theirs");
    host.deploy(&revision(&one, &[("app/stays", "2")])).await.succeeded();
    let left = ["held/ 755 0", "held/users = \"theirs\" 644 0", "stays = \"2\" 644 0"];
    assert_eq!(host.tree("app"), left);
}

#[tokio::test]
async fn a_setuid_file_is_made_by_permissions_alone() {
    let mut host = Host::new();
    let one = hook("1");
    let appspec =
        format!("{APPSPEC}permissions: [{{object: $HOST/app/su, owner: nobody, mode: 6755}}]\n");
    let mut files = revision(&one, &[("app/su", "x"), ("app/plain", "x")]);
    files[0].1 = &appspec;
    host.deploy(&files).await.succeeded();
    let uid = nix::unistd::User::from_name("nobody").unwrap().unwrap().uid;
    let tree = ["plain = \"x\" 644 0".to_owned(), format!("su = \"x\" 6755 {uid}")];
    assert_eq!(host.tree("app"), tree);
    // The next revision has none, and keeps none.
    host.deploy(&revision(&one, &[("app/su", "y")])).await.succeeded();
    assert_eq!(host.tree("app"), ["su = \"y\" 644 0"]);
}
