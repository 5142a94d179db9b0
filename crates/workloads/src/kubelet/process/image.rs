//! Which local command an image name stands for.

/// A local command that stands in for an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalImage {
    /// The program and its fixed arguments; a container's `command` replaces it. May be empty, as in an
    /// image of tools: then a container must say its own `command`.
    pub entrypoint: Vec<String>,
    /// Default arguments; a container's `args` replace them.
    pub args: Vec<String>,
    /// Environment the image brings.
    pub env: Vec<(String, String)>,
}

impl LocalImage {
    /// An image that runs this program with these fixed arguments.
    #[must_use]
    pub fn running<I: Into<String>>(entrypoint: impl IntoIterator<Item = I>) -> Self {
        Self { entrypoint: entrypoint.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// The same with one more environment variable.
    #[must_use]
    pub fn with_env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }
}

/// Image name patterns and what they stand for; the first match counts.
#[derive(Clone, Debug, Default)]
pub struct ImageMap {
    entries: Vec<(String, LocalImage)>,
}

impl ImageMap {
    /// A map without images: nothing can be pulled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pattern; `*` stands for any text, the registry `docker.io/library/` may be left out.
    #[must_use]
    pub fn with(mut self, pattern: impl Into<String>, image: LocalImage) -> Self {
        self.entries.push((pattern.into(), image));
        self
    }

    /// What `image` stands for, if anything.
    #[must_use]
    pub fn find(&self, image: &str) -> Option<&LocalImage> {
        let short = image.strip_prefix("docker.io/").unwrap_or(image);
        let short = short.strip_prefix("library/").unwrap_or(short);
        self.entries
            .iter()
            .find(|(pattern, _)| matches_pattern(pattern, image) || matches_pattern(pattern, short))
            .map(|(_, image)| image)
    }
}

/// Whether `text` matches `pattern`, in which `*` stands for any text.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|at| rest.is_char_boundary(*at))
                .any(|at| matches_pattern(tail, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_matching_pattern_names_the_command() {
        let map = ImageMap::new()
            .with("demo/web:*", LocalImage::running(["glidepath", "demo-web"]))
            .with("busybox", LocalImage::default())
            .with("*/tools*", LocalImage::running(["tools"]));
        let table = [
            ("demo/web:v1", Some("glidepath")),
            ("docker.io/demo/web:v2", Some("glidepath")),
            ("demo/web", None),
            ("library/busybox", Some("")),
            ("registry.example.com/a/tools:1", Some("tools")),
            ("nginx", None),
        ];
        for (image, program) in table {
            let found = map.find(image).map(|image| image.entrypoint.first().map_or("", String::as_str));
            assert_eq!(found, program, "{image}");
        }
    }
}
