//! The desired state as YAML documents: services, dependencies, providers, policies and events. A file holds
//! one or more documents, separated by `---`; each states its `kind`.

mod read;
mod split;
mod typed;

use std::{fs, path::Path};

use anyhow::{Context, bail};
use haggle_model::{Document, Name};

use crate::input;

pub(crate) use read::parse;

/// A document and its place in a file.
#[derive(Debug)]
pub(crate) struct Placed {
    /// The content.
    pub(crate) document: Document,
    /// `FILE, document N`.
    pub(crate) place: String,
}

/// The subject of a document. The order of the variants is the order in which documents are applied: every
/// document comes after the documents that it refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Identity {
    Policy(Name),
    Provider(Name),
    Service(Name),
    Dependency(Name, Name),
    Event(Name),
}

impl Identity {
    pub(crate) fn of(document: &Document) -> Self {
        match document {
            Document::Policy(policy) => Self::Policy(policy.name.clone()),
            Document::Provider(provider) => Self::Provider(provider.name.clone()),
            Document::Service(service) => Self::Service(service.name.clone()),
            Document::Dependency(edge) => Self::Dependency(edge.from.clone(), edge.to.clone()),
            Document::Event(event) => Self::Event(event.name.clone()),
        }
    }

    /// The value of the field `kind`.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Policy(_) => "policy",
            Self::Provider(_) => "provider",
            Self::Service(_) => "service",
            Self::Dependency(..) => "dependency",
            Self::Event(_) => "calendar_event",
        }
    }

    /// The name, or both ends of a dependency.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Policy(name) | Self::Provider(name) | Self::Service(name) | Self::Event(name) => {
                name.to_string()
            }
            Self::Dependency(from, to) => format!("{from} -> {to}"),
        }
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind(), self.name())
    }
}

/// Reads a file, or every `.yaml` and `.yml` file of a folder, and sorts the documents into the order in
/// which they are applied.
///
/// # Errors
/// For the first file that cannot be read, and for the first document that is not valid, with file, document,
/// line and column.
pub(crate) fn open(path: &Path) -> anyhow::Result<Vec<Placed>> {
    let mut documents = Vec::new();
    for file in files(path)? {
        let text = input::text(&file)?;
        documents.extend(parse(&file.display().to_string(), &text)?);
    }
    if documents.is_empty() {
        bail!(
            "{} holds no documents: each begins with its kind, e.g. kind: service",
            path.display()
        );
    }
    ordered(documents)
}

/// Sorts documents into the order in which they are applied.
///
/// # Errors
/// When two documents have the same subject.
pub(crate) fn ordered(mut documents: Vec<Placed>) -> anyhow::Result<Vec<Placed>> {
    documents.sort_by_cached_key(|placed| Identity::of(&placed.document));
    for (first, second) in documents.iter().zip(documents.iter().skip(1)) {
        let identity = Identity::of(&first.document);
        if identity == Identity::of(&second.document) {
            let (first, second) = (&first.place, &second.place);
            bail!("{identity} is described twice, in {first} and in {second}: keep one");
        }
    }
    Ok(documents)
}

fn files(path: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let unreadable = || format!("{} cannot be read", path.display());
    if !fs::metadata(path).with_context(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).with_context(unreadable)? {
        let file = entry.with_context(unreadable)?.path();
        let yaml = file.extension().is_some_and(|name| name == "yaml" || name == "yml");
        if yaml && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        bail!("{} holds no .yaml or .yml files", path.display());
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::{Identity, open};
    use std::fs;

    #[test]
    fn a_folder_is_read_whole_and_put_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("b.yml", "kind: policy\nname: careful\n");
        write(
            "a.yaml",
            concat!(
                "kind: dependency\nfrom: web\nto: cart\nratios: {requests_per_second: 1}\n---\n",
                "kind: service\nname: web\nreplica: {capacity: {requests_per_second: 10}}\n",
            ),
        );
        write("notes.txt", "kind: nonsense");
        let documents = open(folder.path()).unwrap();
        let found: Vec<String> =
            documents.iter().map(|placed| Identity::of(&placed.document).to_string()).collect();
        assert_eq!(found, ["policy careful", "service web", "dependency web -> cart"]);
        assert!(documents[2].place.ends_with("a.yaml, document 1"), "{}", documents[2].place);

        write("c.yaml", "kind: policy\nname: careful\n");
        let twice = open(folder.path()).unwrap_err().to_string();
        assert!(twice.contains("policy careful is described twice"), "{twice}");
        assert!(twice.contains("b.yml") && twice.contains("c.yaml"), "{twice}");
    }

    #[test]
    fn a_folder_or_file_without_documents_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(open(folder.path()).unwrap_err().to_string().contains("no .yaml"));
        let file = folder.path().join("empty.yaml");
        fs::write(&file, "# nothing yet\n---\n").unwrap();
        assert!(open(&file).unwrap_err().to_string().contains("no documents"));
        let missing = format!("{:#}", open(&folder.path().join("none.yaml")).unwrap_err());
        assert!(missing.contains("none.yaml cannot be read"), "{missing}");
    }
}
