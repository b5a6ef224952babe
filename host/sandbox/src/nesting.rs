//! Measures the nesting depth of an upload without recursion, because later parsers may recurse.

use wasmparser::{
    BinaryReader, ComponentImport, ComponentType, InstanceTypeDeclaration, Parser, Payload,
};

use crate::error::Refusal;

/// Maximum nesting depth of components and types. Toolchains emit four levels; each composition adds one.
pub(crate) const MOST: usize = 32;

/// The custom sections with the component type of a core module.
const COMPONENT_TYPE: &str = "component-type";

const COMPONENT: u8 = 0x41;
const INSTANCE: u8 = 0x42;
const TYPE: u8 = 0x01;
const IMPORT: u8 = 0x03;

/// Refuses an upload that nests components or types more than [`MOST`] deep.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Refusal> {
    walk(bytes, &embedded)
}

/// Checks the component within a custom section. Custom sections inside it are not searched.
fn embedded(data: &[u8]) -> Result<(), Refusal> {
    let mut reader = BinaryReader::new(data, 0);
    // An older format begins with its version, an encoding and a name.
    if reader.clone().read_u8().map_err(invalid)? == 0x03 {
        reader.read_bytes(2).map_err(invalid)?;
        reader.read_string().map_err(invalid)?;
    }
    let component = reader.read_bytes(reader.bytes_remaining()).map_err(invalid)?;
    walk(component, &|_| Ok(()))
}

fn walk(bytes: &[u8], embedded: &impl Fn(&[u8]) -> Result<(), Refusal>) -> Result<(), Refusal> {
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(invalid)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                depth += 1;
                within(depth)?;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentTypeSection(section) => {
                let section = bytes.get(section.range()).unwrap_or_default();
                types(&mut BinaryReader::new(section, 0), depth)?;
            }
            Payload::CustomSection(section)
                if depth == 0 && section.name().starts_with(COMPONENT_TYPE) =>
            {
                embedded(section.data())?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks a section of types in a component at nesting depth `around`.
fn types(reader: &mut BinaryReader<'_>, around: usize) -> Result<(), Refusal> {
    // Number of remaining items in the section, and in each open type.
    let mut left = vec![reader.read_var_u32().map_err(invalid)?];
    while let Some(items) = left.last_mut() {
        let Some(rest) = items.checked_sub(1) else {
            left.pop();
            continue;
        };
        *items = rest;
        let in_a_type = left.len() > 1;
        if in_a_type && !declares_type(reader).map_err(invalid)? {
            continue;
        }
        let mut ahead = reader.clone();
        match ahead.read_u8().map_err(invalid)? {
            COMPONENT | INSTANCE => {
                left.push(ahead.read_var_u32().map_err(invalid)?);
                within(around + left.len() - 1)?;
                *reader = ahead;
            }
            _ => drop(reader.read::<ComponentType<'_>>().map_err(invalid)?),
        }
    }
    Ok(())
}

/// Reads a declaration within a type. If it declares a type itself, reads only the introduction and returns
/// `true`.
fn declares_type(reader: &mut BinaryReader<'_>) -> wasmparser::Result<bool> {
    let mut ahead = reader.clone();
    match ahead.read_u8()? {
        TYPE => *reader = ahead,
        IMPORT => {
            *reader = ahead;
            reader.read::<ComponentImport<'_>>()?;
            return Ok(false);
        }
        _ => {
            reader.read::<InstanceTypeDeclaration<'_>>()?;
            return Ok(false);
        }
    }
    Ok(true)
}

fn within(depth: usize) -> Result<(), Refusal> {
    if depth > MOST { Err(Refusal::TooDeep { most: MOST }) } else { Ok(()) }
}

fn invalid(error: wasmparser::BinaryReaderError) -> Refusal {
    Refusal::Invalid(error.to_string())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{MOST, check};
    use crate::error::Refusal;

    fn number(mut n: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let low = (n & 0x7f) as u8;
            n >>= 7;
            bytes.push(if n > 0 { low | 0x80 } else { low });
            if n == 0 {
                return bytes;
            }
        }
    }

    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        [&[id][..], &number(content.len()), content].concat()
    }

    fn component(sections: &[u8]) -> Vec<u8> {
        [b"\0asm\x0d\0\x01\0", sections].concat()
    }

    /// A component with nested types of one kind.
    pub(crate) fn nested_types(kind: u8, depth: usize) -> Vec<u8> {
        let mut bytes = vec![1];
        for level in 0..depth {
            bytes.extend([kind, 1]);
            bytes.extend((level + 1 < depth).then_some(0x01));
        }
        // The innermost type declares a list of bytes.
        bytes.extend([0x01, 0x70, 0x7d]);
        component(&section(7, &bytes))
    }

    fn nested_components(depth: usize) -> Vec<u8> {
        (0..depth).fold(component(&[]), |inner, _| component(&section(4, &inner)))
    }

    fn in_custom_section(component: &[u8], before: &[u8]) -> Vec<u8> {
        let content = [b"\x10component-type:x", before, component].concat();
        [b"\0asm\x01\0\0\0", &section(0, &content)[..]].concat()
    }

    #[test]
    fn what_nests_too_deeply_is_refused_wherever_it_is() {
        let too_deep = |bytes: &[u8]| matches!(check(bytes), Err(Refusal::TooDeep { most: MOST }));
        for nested in [
            |depth| nested_types(0x41, depth),
            |depth| nested_types(0x42, depth),
            nested_components,
            |depth| in_custom_section(&nested_types(0x42, depth), b""),
            |depth| in_custom_section(&nested_types(0x41, depth), b"\x03\0\x01w"),
            |depth| in_custom_section(&nested_components(depth), b""),
        ] {
            assert_eq!(check(&nested(MOST)), Ok(()));
            assert!(too_deep(&nested(MOST + 1)));
            assert!(too_deep(&nested(3000)));
        }
    }

    #[test]
    fn the_walk_itself_does_not_recurse() {
        // Half a megabyte that would overflow any stack, at a few bytes per level.
        for kind in [0x41, 0x42] {
            let refused = check(&nested_types(kind, 200_000));
            assert_eq!(refused, Err(Refusal::TooDeep { most: MOST }));
        }
    }

    #[test]
    fn types_within_components_count_for_both() {
        let of = |outer: usize, inner: usize| {
            (0..outer).fold(nested_types(0x42, inner), |inner, _| component(&section(4, &inner)))
        };
        assert_eq!(check(&of(MOST / 2, MOST / 2)), Ok(()));
        assert!(check(&of(MOST / 2, MOST / 2 + 1)).is_err());
    }

    #[test]
    fn what_toolchains_emit_is_read_to_its_end() {
        for builtin in haggle_builtin::BUILTIN {
            assert_eq!(check(builtin.bytes), Ok(()), "{}", builtin.name);
        }
        let wat = r#"(component
            (type (component
              (import "a" (func (param "x" u32)))
              (core type (module (import "m" "f" (func)) (export "g" (func))))
              (type $list (list u8))
              (export "i" (instance (type (record (field "f" $list))) (export "r" (type (sub resource)))))
              (alias outer 0 0 (type)))))"#;
        drop(wat::parse_str(wat).map(|bytes| assert_eq!(check(&bytes), Ok(()))));
    }
}
