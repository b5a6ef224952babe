//! A document of a known kind. Serde's own tagged enums buffer a document first and lose the positions of its
//! fields; this type deserializes it directly and skips the field `kind`.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor, value::MapAccessDeserializer},
};

/// The field that names the kind of a document.
const KIND: &str = "kind";

/// The kind of a document, without its other fields.
#[derive(Debug, Deserialize)]
pub(crate) struct Kind {
    pub(crate) kind: String,
}

/// A document without its kind.
#[derive(Debug)]
pub(crate) struct Typed<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Typed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a document with a kind")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(WithoutKind(map)))
            }
        }

        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

struct WithoutKind<A>(A);

impl<'de, A: MapAccess<'de>> MapAccess<'de> for WithoutKind<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let mut seed = Some(seed);
        while let Some(other) = seed.take() {
            match self.0.next_key_seed(UnlessKind(other))? {
                Some(Key::Kind(other)) => {
                    self.0.next_value::<IgnoredAny>()?;
                    seed = Some(other);
                }
                Some(Key::Other(key)) => return Ok(Some(key)),
                None => break,
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.0.next_value_seed(seed)
    }
}

/// Deserializes a key with the seed, or returns the seed if the key is `kind`.
struct UnlessKind<K>(K);

enum Key<K, V> {
    Kind(K),
    Other(V),
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for UnlessKind<K> {
    type Value = Key<K, K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let key = String::deserialize(deserializer)?;
        if key == KIND {
            return Ok(Key::Kind(self.0));
        }
        let key = serde::de::value::StringDeserializer::<D::Error>::new(key);
        self.0.deserialize(key).map(Key::Other)
    }
}
