//! Artifacts by content: named by SHA-256, verified while they are written, never changed.

use ::pipelines::ids::Digest;
use ::pipelines::protocol::task::Artifact;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, WriteMultipart};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use uuid::Uuid;

#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
}

#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error("the content has the digest {actual}, not {wanted}")]
    DigestMismatch { wanted: Digest, actual: String },
    #[error("the content is larger than {max} bytes")]
    TooLarge { max: u64 },
    #[error("there is no artifact {0}")]
    Missing(Digest),
    #[error("receiving the content")]
    Receive(#[source] std::io::Error),
    #[error("using the object store")]
    Store(#[from] object_store::Error),
}

impl Objects {
    /// A store in a local directory, created when absent.
    ///
    /// # Errors
    /// When the directory cannot be created or used.
    pub fn local(directory: &std::path::Path) -> anyhow::Result<Objects> {
        std::fs::create_dir_all(directory)?;
        let store = LocalFileSystem::new_with_prefix(directory)?.with_automatic_cleanup(true);
        Ok(Objects { store: Arc::new(store) })
    }

    fn path(digest: &Digest) -> Path {
        Path::from_iter(["artifacts", &digest.as_str()[..2], digest.as_str()])
    }

    /// Whether the content is there, and its size in bytes.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn find(&self, digest: &Digest) -> Result<Option<Artifact>, ObjectError> {
        match self.store.head(&Self::path(digest)).await {
            Ok(meta) => Ok(Some(Artifact { digest: digest.clone(), size: meta.size })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a stream under its own digest. With `wanted`, a stream with another digest is refused;
    /// nothing is visible under any name until all of it is there and verified.
    ///
    /// # Errors
    /// [`ObjectError`]; nothing is left behind.
    pub async fn put(
        &self,
        mut content: impl Stream<Item = std::io::Result<Bytes>> + Unpin,
        wanted: Option<&Digest>,
        max: u64,
    ) -> Result<Artifact, ObjectError> {
        let part = Path::from_iter(["incoming", &Uuid::new_v4().to_string()]);
        let mut writer = WriteMultipart::new(self.store.put_multipart(&part).await?);
        let (mut hasher, mut size) = (Sha256::new(), 0u64);
        let received: Result<(), ObjectError> = async {
            while let Some(bytes) = content.next().await {
                let bytes = bytes.map_err(ObjectError::Receive)?;
                size += bytes.len() as u64;
                if size > max {
                    return Err(ObjectError::TooLarge { max });
                }
                hasher.update(&bytes);
                writer.wait_for_capacity(4).await?;
                writer.put(bytes);
            }
            Ok(())
        }
        .await;
        if let Err(error) = received {
            writer.abort().await?;
            return Err(error);
        }
        writer.finish().await?;
        let actual = hex::encode(hasher.finalize());
        let digest: Digest = actual.parse().expect("SHA-256 in hexadecimal is a digest");
        if let Some(wanted) = wanted.filter(|wanted| **wanted != digest) {
            self.store.delete(&part).await?;
            return Err(ObjectError::DigestMismatch { wanted: wanted.clone(), actual });
        }
        self.store.rename(&part, &Self::path(&digest)).await?;
        Ok(Artifact { digest, size })
    }

    /// The content as a stream of bytes.
    ///
    /// # Errors
    /// [`ObjectError::Missing`], or when the store cannot be read.
    pub async fn get(
        &self,
        digest: &Digest,
    ) -> Result<(u64, BoxStream<'static, std::io::Result<Bytes>>), ObjectError> {
        match self.store.get(&Self::path(digest)).await {
            Ok(found) => {
                let size = found.meta.size;
                Ok((size, found.into_stream().map_err(std::io::Error::other).boxed()))
            }
            Err(object_store::Error::NotFound { .. }) => Err(ObjectError::Missing(digest.clone())),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(
        parts: &[&'static str],
    ) -> impl Stream<Item = std::io::Result<Bytes>> + Unpin + use<> {
        let parts: Vec<_> = parts.iter().map(|p| Ok(Bytes::from_static(p.as_bytes()))).collect();
        futures::stream::iter(parts)
    }

    #[tokio::test]
    async fn content_comes_back_under_its_digest() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::local(dir.path()).unwrap();
        let artifact = objects.put(stream(&["hel", "lo"]), None, 100).await.unwrap();
        assert_eq!(
            artifact.digest.as_str(),
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        );
        let (size, content) = objects.get(&artifact.digest).await.unwrap();
        let bytes: Vec<Bytes> = content.try_collect().await.unwrap();
        assert_eq!((size, bytes.concat()), (5, b"hello".to_vec()));
        assert_eq!(objects.find(&artifact.digest).await.unwrap(), Some(artifact));
    }

    #[tokio::test]
    async fn wrong_or_oversized_content_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::local(dir.path()).unwrap();
        let wanted: Digest = "ab".repeat(32).parse().unwrap();
        let wrong = objects.put(stream(&["hello"]), Some(&wanted), 100).await;
        assert!(matches!(wrong, Err(ObjectError::DigestMismatch { .. })));
        let large = objects.put(stream(&["hello"]), None, 4).await;
        assert!(matches!(large, Err(ObjectError::TooLarge { max: 4 })));
        assert!(matches!(objects.get(&wanted).await, Err(ObjectError::Missing(_))));
        let files = walk(dir.path());
        assert!(files.is_empty(), "{files:?}");
    }

    fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|p| if p.is_dir() { walk(&p) } else { vec![p] }).collect()
    }
}
