//! The browser and the operating system that a user agent names.
//!
//! Browsers name their ancestors too (Edge says Chrome and Safari, all say Mozilla), so that the first
//! name of a list that is found is the right one. A text that is no browser's, such as that of a gRPC
//! library, is shown by its first product name.
//!
//! Not here: versions and models, which would change with every reading rule, and any belief that the
//! text is true.

/// The longest name that is shown, in characters.
const NAME_MAX: usize = 64;

/// What is in the text of a browser, and its name; descendants before their ancestors.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

/// What is in the text of a system, and its name; descendants before their ancestors.
const SYSTEMS: &[(&str, &str)] = &[
    ("Windows", "Windows"),
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("Mac OS X", "macOS"),
    ("Macintosh", "macOS"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
    ("linux", "Linux"),
    ("FreeBSD", "FreeBSD"),
];

/// The browser or client; empty where the text names none.
#[must_use]
pub fn browser(user_agent: &str) -> String {
    let is_browser = user_agent.starts_with("Mozilla/");
    match named(user_agent, BROWSERS).filter(|_| is_browser) {
        Some(name) => name.to_owned(),
        None if is_browser => String::new(),
        None => {
            let product = user_agent.split([' ', '/', '(']).next().unwrap_or_default();
            product.chars().take(NAME_MAX).collect()
        }
    }
}

/// The operating system; empty where the text names none.
#[must_use]
pub fn operating_system(user_agent: &str) -> String {
    named(user_agent, SYSTEMS).unwrap_or_default().to_owned()
}

fn named(text: &str, known: &[(&str, &'static str)]) -> Option<&'static str> {
    known.iter().find(|(mark, _)| text.contains(mark)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_are_not_taken_for_their_ancestors() {
        for (text, wanted) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 \
              Safari/537.36",
                ("Chrome", "Windows"),
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 \
              Safari/537.36 Edg/142.0.0.0",
                ("Edge", "Windows"),
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 \
              Safari/605.1.15",
                ("Safari", "macOS"),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
              CriOS/142.0 Mobile/15E148 Safari/604.1",
                ("Chrome", "iOS"),
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", ("Firefox", "Linux")),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile \
              Safari/537.36",
                ("Chrome", "Android"),
            ),
            ("grpc-python/1.76.0 grpc-c/49.0.0 (linux; chttp2)", ("grpc-python", "Linux")),
            ("peerage/0.1.0 tonic/0.14.9", ("peerage", "")),
            ("Mozilla/5.0", ("", "")),
            ("", ("", "")),
        ] {
            assert_eq!((browser(text).as_str(), operating_system(text).as_str()), wanted, "{text}");
        }
        assert_eq!(browser(&"x".repeat(300)).len(), NAME_MAX);
    }
}
