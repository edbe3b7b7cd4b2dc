//! The install script with this controller's address, certificate authority and digests in it.

use super::programs::Program;

/// Checked by shellcheck as it is.
const TEMPLATE: &str = include_str!("install.sh");

/// The script for hosts of the controller at `url`.
pub fn render(url: &str, ca_pem: Option<&str>, sums: &[(String, Program)]) -> String {
    TEMPLATE
        .replace("'@URL@'", &quoted(url))
        .replace("'@CA@'", &quoted(ca_pem.unwrap_or_default().trim_end()))
        .replace("'@SUMS@'", &quoted(lines_of(sums).trim_end()))
}

/// As `sha256sum -c` reads them.
pub fn lines_of(sums: &[(String, Program)]) -> String {
    sums.iter().map(|(sha256, program)| format!("{sha256}  {program}\n")).collect()
}

/// One word of a shell, whatever is in it.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_filled_in_and_nothing_can_break_out() {
        let sums = [("0f".repeat(32), Program::called("pipectl-linux-x86_64").unwrap())];
        let text = render("https://a.example/'; reboot; '", Some("-----BEGIN\n"), &sums);
        for left in ["@URL@", "@CA@", "@SUMS@"] {
            assert!(!text.contains(left), "{left}");
        }
        assert!(text.contains(r"url='https://a.example/'\''; reboot; '\'''"), "{text}");
        assert!(text.contains(&format!("sums='{}  pipectl-linux-x86_64'", "0f".repeat(32))));
        assert!(text.contains("ca='-----BEGIN'"));
    }
}
