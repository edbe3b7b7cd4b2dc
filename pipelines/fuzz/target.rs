//! What makes a closure a fuzz target, or a program that tries files.

macro_rules! fuzz {
    (|$text:ident| $body:expr) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| -> libfuzzer_sys::Corpus {
            match std::str::from_utf8(bytes) {
                Ok($text) => {
                    $body;
                    libfuzzer_sys::Corpus::Keep
                }
                Err(_) => libfuzzer_sys::Corpus::Reject,
            }
        });

        #[cfg(not(fuzzing))]
        #[expect(clippy::disallowed_methods, reason = "a program of the tests may read files")]
        fn main() {
            for path in std::env::args_os().skip(1) {
                let bytes = std::fs::read(&path).expect("the file can be read");
                let lossy = String::from_utf8_lossy(&bytes);
                let $text: &str = &lossy;
                $body;
            }
        }
    };
}
pub(crate) use fuzz;
