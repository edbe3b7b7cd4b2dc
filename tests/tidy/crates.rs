//! Which crate may use which: the table in docs/ARCHITECTURE.md against what cargo says.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Crates through which the domain could touch the world.
const WORLD: &[&str] = &["tokio", "sqlx", "axum", "reqwest", "bollard", "git2"];
const TABLE: &str = "docs/ARCHITECTURE.md";

/// Every dependency between our own crates that the table does not draw, and every arrow it draws that
/// no crate uses any more.
pub fn wrong_arrows(root: &Path) -> Vec<String> {
    let allowed = match table(root) {
        Ok(allowed) => allowed,
        Err(problem) => return vec![problem],
    };
    let packages = packages(root);
    let names: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut wrong = Vec::new();
    for package in &packages {
        let Some((line, arrows)) = allowed.get(&package.name) else {
            wrong.push(format!("{TABLE}:1: crate {} is not in the table of arrows", package.name));
            continue;
        };
        let used: BTreeSet<&str> =
            package.uses.iter().map(String::as_str).filter(|name| names.contains(name)).collect();
        for name in used.iter().filter(|name| !arrows.contains(**name)) {
            wrong.push(format!(
                "{}:1: {} may not use {name} ({TABLE}:{line}): move the code to where the arrow \
                 points, or argue for a new arrow in docs/decisions/",
                package.manifest, package.name
            ));
        }
        for name in arrows.iter().filter(|name| !used.contains(name.as_str())) {
            wrong.push(format!(
                "{TABLE}:{line}: {} does not use {name}: take the arrow out of the table",
                package.name
            ));
        }
    }
    wrong
}

/// Dependencies of `pipelines` that it must not have, test dependencies included.
pub fn ways_out(root: &Path) -> Vec<String> {
    let packages = packages(root);
    let domain = packages.iter().find(|package| package.name == "pipelines");
    let domain = domain.expect("the workspace has a package 'pipelines'");
    let out = domain.uses.iter().filter(|name| WORLD.contains(&name.as_str()));
    out.map(|name| {
        format!("{}:1: {name}: the domain decides and does nothing else", domain.manifest)
    })
    .collect()
}

struct Package {
    name: String,
    manifest: String,
    /// Names of dependencies of every kind.
    uses: BTreeSet<String>,
}

fn packages(root: &Path) -> Vec<Package> {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("packages are a list");
    packages.iter().map(|package| read_package(root, package)).collect()
}

fn read_package(root: &Path, package: &Value) -> Package {
    let text = |value: &Value| value.as_str().expect("cargo prints a string here").to_owned();
    let manifest = text(&package["manifest_path"]);
    let short = Path::new(&manifest).strip_prefix(root).unwrap_or(Path::new(&manifest));
    let dependencies = package["dependencies"].as_array().expect("dependencies are a list");
    Package {
        name: text(&package["name"]),
        manifest: short.display().to_string(),
        uses: dependencies.iter().map(|dependency| text(&dependency["name"])).collect(),
    }
}

type Arrows = BTreeMap<String, (usize, BTreeSet<String>)>;

/// The rows below the heading `| crate | uses |`: a name in backquotes, then names in backquotes.
fn table(root: &Path) -> Result<Arrows, String> {
    let text = std::fs::read_to_string(root.join(TABLE));
    let text = text.map_err(|error| format!("{TABLE}:1: cannot be read: {error}"))?;
    let mut rows = Arrows::new();
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    let below = lines.skip_while(|(_, line)| !line.starts_with("| crate | uses |")).skip(2);
    for (at, line) in below.take_while(|(_, line)| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        let quoted = |cell: &str| -> Vec<String> {
            cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        let name = cells.first().map(|cell| quoted(cell)).unwrap_or_default();
        let uses = cells.get(1).map(|cell| quoted(cell)).unwrap_or_default();
        let name = name.into_iter().next();
        let name = name.ok_or_else(|| format!("{TABLE}:{at}: a row without a crate's name"))?;
        rows.insert(name, (at, uses.into_iter().collect()));
    }
    if rows.is_empty() {
        return Err(format!("{TABLE}:1: no table that starts with '| crate | uses |'"));
    }
    Ok(rows)
}
