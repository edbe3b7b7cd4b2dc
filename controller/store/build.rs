//! `migrate!` reads the folder while compiling; a new file must be noticed.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
