use std::sync::LazyLock;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto, MethodDescriptorProto, OneofDescriptorProto, ServiceDescriptorProto,
};

/// What `schema.txt` describes, a file for each package.
pub(super) static FILES: LazyLock<Vec<FileDescriptorProto>> =
    LazyLock::new(|| parse(include_str!("schema.txt")).expect("the table is ours, and a test reads it"));

/// Reads the table; `None` when it is not in its own form.
fn parse(table: &str) -> Option<Vec<FileDescriptorProto>> {
    let enums: Vec<String> = enum_names(table);
    let mut files: Vec<FileDescriptorProto> = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (line.starts_with(' '), words.as_slice()) {
            (false, ["package", package]) => files.push(file(package)),
            (false, ["message", path]) => {
                let (messages, name) = place(files.last_mut()?, path)?;
                messages.push(DescriptorProto { name: Some(name), ..DescriptorProto::default() });
            }
            (false, ["enum", path, values @ ..]) => {
                let described = enumeration(path, values)?;
                let file = files.last_mut()?;
                match path.rsplit_once('.') {
                    Some((parent, _)) => find(file, parent)?.enum_type.push(described),
                    None => file.enum_type.push(described),
                }
            }
            (false, ["service", name]) => {
                let name = Some((*name).to_owned());
                let service = ServiceDescriptorProto { name, ..ServiceDescriptorProto::default() };
                files.last_mut()?.service.push(service);
            }
            (true, words) => {
                let file = files.last_mut()?;
                let package = file.package.clone()?;
                match file.service.last_mut() {
                    Some(service) => service.method.push(method(words, &package)?),
                    None => add_field(last(&mut file.message_type)?, words, &package, &enums)?,
                }
            }
            _ => return None,
        }
    }
    Some(files)
}

fn file(package: &str) -> FileDescriptorProto {
    let needed: &[&str] = if package == "etcdserverpb" { &["mvccpb", "authpb"] } else { &[] };
    FileDescriptorProto {
        name: Some(format!("{package}.proto")),
        package: Some(package.to_owned()),
        dependency: needed.iter().map(|package| format!("{package}.proto")).collect(),
        syntax: Some("proto3".to_owned()),
        ..FileDescriptorProto::default()
    }
}

/// Full names, with a leading dot, of all enumerations.
fn enum_names(table: &str) -> Vec<String> {
    let mut package = "";
    let mut names = Vec::new();
    for line in table.lines() {
        let mut words = line.split(' ');
        match (words.next(), words.next()) {
            (Some("package"), Some(name)) => package = name,
            (Some("enum"), Some(path)) => names.push(format!(".{package}.{path}")),
            _ => {}
        }
    }
    names
}

fn enumeration(path: &str, values: &[&str]) -> Option<EnumDescriptorProto> {
    let value = |value: &&str| {
        let (name, number) = value.split_once('=')?;
        let (name, number) = (Some(name.to_owned()), Some(number.parse().ok()?));
        Some(EnumValueDescriptorProto { name, number, options: None })
    };
    Some(EnumDescriptorProto {
        name: path.rsplit('.').next().map(str::to_owned),
        value: values.iter().map(value).collect::<Option<_>>()?,
        ..EnumDescriptorProto::default()
    })
}

/// Where a message with this path goes, and its last name.
fn place<'a>(
    file: &'a mut FileDescriptorProto,
    path: &str,
) -> Option<(&'a mut Vec<DescriptorProto>, String)> {
    match path.rsplit_once('.') {
        Some((parent, name)) => Some((&mut find(file, parent)?.nested_type, name.to_owned())),
        None => Some((&mut file.message_type, path.to_owned())),
    }
}

fn find<'a>(file: &'a mut FileDescriptorProto, path: &str) -> Option<&'a mut DescriptorProto> {
    let mut messages = &mut file.message_type;
    let (parents, name) = path.rsplit_once('.').unwrap_or(("", path));
    for parent in parents.split('.').filter(|parent| !parent.is_empty()) {
        let found = messages.iter_mut().find(|message| message.name.as_deref() == Some(parent))?;
        messages = &mut found.nested_type;
    }
    messages.iter_mut().find(|message| message.name.as_deref() == Some(name))
}

/// The message that the table named last: nested ones follow their parent.
fn last(messages: &mut [DescriptorProto]) -> Option<&mut DescriptorProto> {
    let message = messages.last_mut()?;
    if message.nested_type.is_empty() { Some(message) } else { last(&mut message.nested_type) }
}

fn add_field(message: &mut DescriptorProto, words: &[&str], package: &str, enums: &[String]) -> Option<()> {
    let [name, number, kind, rest @ ..] = words else { return None };
    let (repeated, oneof) = match rest {
        [] => (false, None),
        ["repeated"] => (true, None),
        ["in", oneof] => (false, Some((*oneof).to_owned())),
        _ => return None,
    };
    let scalar = match *kind {
        "bytes" => Some(Type::Bytes),
        "string" => Some(Type::String),
        "bool" => Some(Type::Bool),
        "int64" => Some(Type::Int64),
        "uint64" => Some(Type::Uint64),
        "int32" => Some(Type::Int32),
        "uint32" => Some(Type::Uint32),
        _ => None,
    };
    let named = full_name(kind, package);
    let (kind, type_name) = match scalar {
        Some(scalar) => (scalar, None),
        None if enums.contains(&named) => (Type::Enum, Some(named)),
        None => (Type::Message, Some(named)),
    };
    let oneof_index = oneof.map(|oneof| oneof_index(&mut message.oneof_decl, oneof));
    message.field.push(FieldDescriptorProto {
        name: Some((*name).to_owned()),
        number: Some(number.parse().ok()?),
        label: Some(if repeated { Label::Repeated } else { Label::Optional } as i32),
        r#type: Some(kind as i32),
        type_name,
        oneof_index,
        ..FieldDescriptorProto::default()
    });
    Some(())
}

fn oneof_index(declared: &mut Vec<OneofDescriptorProto>, name: String) -> i32 {
    let known = declared.iter().position(|oneof| oneof.name.as_ref() == Some(&name));
    let index = known.unwrap_or_else(|| {
        declared.push(OneofDescriptorProto { name: Some(name), options: None });
        declared.len() - 1
    });
    i32::try_from(index).unwrap_or(i32::MAX)
}

fn method(words: &[&str], package: &str) -> Option<MethodDescriptorProto> {
    let (name, client_streaming, input, server_streaming, output) = match words {
        [name, "stream", input, "stream", output] => (name, true, input, true, output),
        [name, input, "stream", output] => (name, false, input, true, output),
        [name, input, output] => (name, false, input, false, output),
        _ => return None,
    };
    Some(MethodDescriptorProto {
        name: Some((*name).to_owned()),
        input_type: Some(full_name(input, package)),
        output_type: Some(full_name(output, package)),
        options: None,
        client_streaming: Some(client_streaming),
        server_streaming: Some(server_streaming),
    })
}

fn full_name(name: &str, package: &str) -> String {
    if name.starts_with('.') { name.to_owned() } else { format!(".{package}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Method;

    #[test]
    fn the_table_names_every_method_that_is_served_and_every_type_that_it_uses() {
        let mut types = Vec::new();
        for file in FILES.iter() {
            let package = file.package.as_deref().unwrap();
            for message in &file.message_type {
                names(&format!(".{package}"), message, &mut types);
            }
            types.extend(file.enum_type.iter().map(|e| format!(".{package}.{}", e.name.as_deref().unwrap())));
        }
        let mut methods = 0;
        for file in FILES.iter() {
            for field in file.message_type.iter().flat_map(|message| &message.field) {
                assert!(field.type_name.as_ref().is_none_or(|name| types.contains(name)), "{field:?}");
            }
            for service in &file.service {
                let full =
                    format!("{}.{}", file.package.as_deref().unwrap(), service.name.as_deref().unwrap());
                for method in &service.method {
                    assert!(types.contains(method.input_type.as_ref().unwrap()), "{method:?}");
                    assert!(types.contains(method.output_type.as_ref().unwrap()), "{method:?}");
                    methods += usize::from(Method::find(&full, method.name.as_deref().unwrap()).is_some());
                }
            }
        }
        assert_eq!(methods, Method::count());
        let rpc = FILES.iter().find(|file| file.package.as_deref() == Some("etcdserverpb")).unwrap();
        let op =
            rpc.message_type.iter().find(|message| message.name.as_deref() == Some("RequestOp")).unwrap();
        assert_eq!((op.oneof_decl.len(), op.field.len(), op.field[3].oneof_index), (1, 4, Some(0)));
    }

    fn names(prefix: &str, message: &DescriptorProto, all: &mut Vec<String>) {
        let name = format!("{prefix}.{}", message.name.as_deref().unwrap());
        all.extend(message.enum_type.iter().map(|e| format!("{name}.{}", e.name.as_deref().unwrap())));
        message.nested_type.iter().for_each(|nested| names(&name, nested, all));
        all.push(name);
    }
}
