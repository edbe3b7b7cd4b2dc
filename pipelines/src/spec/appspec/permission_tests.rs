//! Traps in the permissions of appspecs.

use crate::spec::appspec::{Permission, parse};
use crate::spec::{Kind, trial};

/// A file that copies its bundle to `/opt/shop`, its permissions from line 4 on.
fn file(permissions: &str) -> String {
    let files = "files: [{source: /, destination: /opt/shop}]\n";
    format!("version: 0.0\nos: linux\npermissions:\n{permissions}{files}")
}

/// One entry about `/opt/shop`, its further keys from line 5 on.
fn entry(rest: &str) -> String {
    file(&format!("  - object: /opt/shop\n    {rest}\n"))
}

#[track_caller]
fn check(rest: &str, expected: &[&str]) {
    trial::check(Kind::Appspec, &entry(rest), expected);
}

/// Entries of one line each, from line 4 on.
#[track_caller]
fn check_entries(entries: &[&str], expected: &[&str]) {
    let lines: String = entries.iter().map(|entry| format!("  - {{{entry}}}\n")).collect();
    trial::check(Kind::Appspec, &file(&lines), expected);
}

fn read(rest: &str) -> Permission {
    parse(&entry(rest)).value.unwrap().permissions.remove(0)
}

fn help(rest: &str) -> String {
    parse(&entry(rest)).problems.remove(0).help
}

#[test]
fn a_mode_is_its_digits_whatever_yaml_takes_them_for() {
    for (text, mode) in [("644", 0o644), ("'0644'", 0o644), ("7", 7), ("4755", 0o4755), ("07", 7)] {
        check(&format!("mode: {text}"), &[]);
        assert_eq!(read(&format!("mode: {text}")).mode, Some(mode), "{text}");
    }
    for (text, mode) in [("0644", 0o644), ("0755", 0o755), ("420", 0o420)] {
        check(&format!("mode: {text}"), &["W bad-mode 5:11"]);
        assert_eq!(read(&format!("mode: {text}")).mode, Some(mode), "{text}");
    }
    for bad in ["0888", "00644", "u+x", "493", "rwxr-xr-x", "0o644"] {
        check(&format!("mode: {bad}"), &["E bad-mode 5:11"]);
    }
    check("mode: ''", &["E missing-key 5:11"]);
    assert!(help("mode: 493").contains("write 755"), "{}", help("mode: 493"));
    assert!(help("mode: 420").contains("write 644"), "{}", help("mode: 420"));
}

#[test]
fn special_bits_and_an_owner_meet_only_on_files() {
    check("owner: x\n    mode: 4755", &["W bad-mode 6:11"]);
    check("owner: x\n    mode: 2775\n    type: [directory]", &[]);
    check("owner: x\n    mode: 1777", &[]);
    check("mode: 4755", &[]);
}

#[test]
fn types_and_exceptions_are_lists() {
    check("mode: 644\n    type: [file, directory]", &[]);
    check("mode: 644\n    type: [files]", &["E bad-value 6:12"]);
    check("mode: 644\n    type: file", &["E wrong-type 6:11"]);
    check("mode: 644\n    except: a", &["E wrong-type 6:13"]);
    check("acls: u:a:r", &["E wrong-type 5:11"]);
    assert_eq!(help("mode: 644\n    type: file"), "write `type: [file]`");
}

#[test]
fn patterns_fit_names() {
    check("mode: 644\n    pattern: '*.sh'\n    except: ['a*', x.sh]", &[]);
    check("mode: 644\n    pattern: '**'\n    except: [a.conf]", &[]);
    check("mode: 644\n    except: ['']", &["W bad-pattern 6:14"]);
    for bad in ["a/*", "**/*", "*.{sh,py}", "[ab]", "?"] {
        check(&format!("mode: 644\n    pattern: '{bad}'"), &["W bad-pattern 6:14"]);
        check(&format!("mode: 644\n    except: ['{bad}']"), &["W bad-pattern 6:14"]);
    }
    check("mode: 644\n    pattern: '*.sh'\n    except: [a.py]", &["W bad-pattern 7:14"]);
    check_entries(&["object: /opt/shop/*, mode: 644"], &["W bad-pattern 4:14"]);
    let file = "object: /opt/shop/a.sh, mode: 755, pattern: '*'";
    check_entries(&[file], &["W bad-pattern 4:50"]);
    check_entries(&[&format!("{file}, type: [directory]")], &[]);
}

#[test]
fn acls_are_read_as_the_agent_reads_them() {
    check("acls: ['u:a:rwx', 'g:b:5', 'm::rx']", &[]);
    check("acls: ['u:a:rwx', 'u::r']", &["E bad-acl 5:23"]);
    check("acls: ['a:rwx']", &["W bad-acl 5:12"]);
    check("type: [directory]\n    acls: ['d:u:a:rwx', 'd:o::r', 'd:g::rx']", &[]);
    check("acls: ['d:u:a:rwx']", &["W bad-acl 5:12"]);
    check("type: [file]\n    acls: ['d:u:a:rwx']", &["E bad-acl 6:12"]);
    assert_eq!(read("acls: ['a:rwx']").acls[0].to_string(), "user:a:rwx");
}

#[test]
fn contexts_need_a_type() {
    check("context: {name: a, type: b, range: 's0-s1:c0.c3'}", &[]);
    check("context: {name: a}", &["E missing-key 5:14"]);
    check("context: {name: a, type: b, range: s9-s1}", &["E bad-context 5:40"]);
    check("context: {user: a, type: b}", &["W bad-context 5:21"]);
    check("context: {type: b, role: c}", &["W bad-context 5:24"]);
    let context = read("context: {name: a, user: b, type: c}").context.unwrap();
    assert_eq!(context.user.as_deref(), Some("a"));
}

#[test]
fn only_what_is_copied_gets_permissions() {
    for covered in ["/", "/opt", "/opt/shop/", "/opt/shop/x", "/opt/./shop"] {
        check_entries(&[&format!("object: {covered}, mode: 644")], &[]);
    }
    for other in ["/opt/shopping", "/var/log/shop", "/etc/shop.conf"] {
        check_entries(&[&format!("object: {other}, mode: 644")], &["W ignored-key 4:5"]);
    }
    check_entries(&["object: opt/shop, mode: 644"], &["W bad-path 4:14"]);
    check_entries(&["object: /opt/shop"], &["W ignored-key 4:5"]);
    check_entries(&["mode: 644"], &["E missing-key 4:5"]);
    let text = "version: 0.0\nos: linux\nfiles: [{source: a.conf, destination: /etc}]\n\
                permissions:\n  - {object: /etc/a.conf, mode: 644}\n  - {object: /etc/b, mode: 644}\n";
    trial::check(Kind::Appspec, text, &["W ignored-key 6:5"]);
}

#[test]
fn no_path_has_two_entries() {
    let all = "object: /opt/shop, mode: 644";
    let twin = |rest: &str, expected: &[&str]| check_entries(&[all, rest], expected);
    twin("object: /opt/shop/, owner: a", &["E duplicate-permission 5:5"]);
    twin("object: /opt/shop, mode: 755, pattern: '*.sh'", &["W duplicate-permission 5:5"]);
    twin("object: /opt/shop/bin, mode: 755", &["W duplicate-permission 5:5"]);
    twin("object: /opt, mode: 755", &["W duplicate-permission 5:5"]);
    twin("object: /opt/shop/bin, mode: 755, type: [directory]", &[]);
    let apart = [
        (
            "object: /opt/shop, mode: 644, type: [file]",
            "object: /opt/shop, mode: 755, type: [directory]",
        ),
        (
            "object: /opt/shop, mode: 644, except: ['*.sh']",
            "object: /opt/shop, mode: 755, pattern: '*.sh'",
        ),
        ("object: /opt/shop, mode: 644, except: [run]", "object: /opt/shop/run, mode: 755"),
        (
            "object: /opt/shop, mode: 644, pattern: '*.py'",
            "object: /opt/shop, mode: 755, pattern: '*.sh'",
        ),
        ("object: /opt/shop, mode: 644, pattern: '*'", "object: /opt/shop/bin, mode: 755"),
        ("object: /opt/shop/a, mode: 644", "object: /opt/shop/ab, mode: 755"),
    ];
    for (one, two) in apart {
        check_entries(&[one, two], &[]);
        check_entries(&[two, one], &[]);
    }
}

#[test]
fn windows_has_neither_users_nor_permissions() {
    let text = "version: 0.0\nos: windows\nhooks: {AfterInstall: [{location: a, runas: b}]}\n\
                permissions:\n  - {object: /x, owner: y}\n";
    trial::check(Kind::Appspec, text, &["W not-on-windows 3:45", "E not-on-windows 5:3"]);
    trial::check(Kind::Appspec, "version: 0.0\nos: windows\npermissions: []\n", &[]);
}
