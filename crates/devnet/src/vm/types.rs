//! Types at run time.

use std::sync::{Arc, OnceLock};

use sui_sdk_types::{Address, Identifier, StructTag, TypeTag};

use super::binary::TypeParam;
use super::error::{Resource, VmError};
use super::session::AbilitySet;

/// How deeply a type may nest.
const MAX_DEPTH: u32 = 64;
/// How many parts a type may have. Bounds the work of writing it out.
const MAX_NODES: u32 = 1024;

/// The Move standard library.
pub(crate) const STD: Address = Address::from_static("0x1");
/// The Sui framework.
pub(crate) const SUI: Address = Address::from_static("0x2");

pub(crate) const COPY: u8 = 0x1;
pub(crate) const DROP: u8 = 0x2;
pub(crate) const STORE: u8 = 0x4;
pub(crate) const KEY: u8 = 0x8;

/// A type, with or without type parameters in it. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    U8,
    U16,
    U32,
    U64,
    U128,
    U256,
    Address,
    Signer,
    Vector(Arc<Of>),
    Datatype(Arc<Instance>),
    Param(u16),
    Reference(Arc<Of>),
    MutableReference(Arc<Of>),
}

/// The type a vector or reference is of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Of {
    pub(crate) ty: Type,
    size: Size,
}

/// A struct or enum with its type arguments.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) datatype: Arc<Datatype>,
    pub(crate) args: Vec<Type>,
    size: Size,
}

impl PartialEq for Instance {
    fn eq(&self, other: &Self) -> bool {
        self.datatype.same(&other.datatype) && self.args == other.args
    }
}

impl Eq for Instance {}

/// What is kept about a type so that nobody has to walk it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    depth: u32,
    nodes: u32,
    has_params: bool,
}

/// A struct or enum as declared.
#[derive(Debug)]
pub(crate) struct Datatype {
    /// Storage identifier of the package version that first had it: its address in type tags.
    pub(crate) origin: Address,
    /// Original identifier of its package.
    pub(crate) original: Address,
    pub(crate) module: Identifier,
    pub(crate) name: Identifier,
    pub(crate) abilities: u8,
    pub(crate) params: Vec<TypeParam>,
    pub(crate) is_enum: bool,
    pub(crate) rule: Rule,
    /// Types of the fields of each variant; a struct has one. Set when its module is linked.
    pub(crate) variants: OnceLock<Vec<Vec<Type>>>,
}

/// What the bytes of a datatype of the standard library must fulfil besides its declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    None,
    /// `0x1::string::String`
    Utf8,
    /// `0x1::ascii::String`
    Ascii,
    /// `0x1::option::Option`
    AtMostOne,
}

impl Rule {
    pub(crate) fn of(original: Address, module: &Identifier, name: &Identifier) -> Self {
        if original != STD {
            return Self::None;
        }
        match (module.as_str(), name.as_str()) {
            ("string", "String") => Self::Utf8,
            ("ascii", "String") => Self::Ascii,
            ("option", "Option") => Self::AtMostOne,
            _ => Self::None,
        }
    }
}

impl Datatype {
    fn same(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
            || (self.origin == other.origin && self.module == other.module && self.name == other.name)
    }

    /// Whether it is `address::module::name`, by original identifier.
    pub(crate) fn is(&self, address: Address, module: &str, name: &str) -> bool {
        self.original == address && self.module.as_str() == module && self.name.as_str() == name
    }

    /// Types of the fields of each variant.
    pub(crate) fn variants(&self) -> &[Vec<Type>] {
        self.variants.get().map_or(&[], Vec::as_slice)
    }
}

impl Type {
    pub(crate) fn vector(element: Self) -> Result<Self, VmError> {
        Of::new(element).map(Self::Vector)
    }

    pub(crate) fn reference(to: Self) -> Result<Self, VmError> {
        Of::new(to).map(Self::Reference)
    }

    pub(crate) fn mutable_reference(to: Self) -> Result<Self, VmError> {
        Of::new(to).map(Self::MutableReference)
    }

    /// `datatype` with arguments, whose number must be right.
    pub(crate) fn datatype(datatype: Arc<Datatype>, args: Vec<Self>) -> Result<Self, VmError> {
        if args.len() != datatype.params.len() {
            let Datatype { origin, module, name, .. } = &*datatype;
            return Err(VmError::TypeArguments(format!(
                "{origin}::{module}::{name} takes {}, not {}",
                datatype.params.len(),
                args.len()
            )));
        }
        let mut size = Size { depth: 1, nodes: 1, has_params: false };
        for arg in &args {
            let arg = arg.size();
            size.depth = size.depth.max(arg.depth + 1);
            size.nodes = size.nodes.saturating_add(arg.nodes);
            size.has_params |= arg.has_params;
        }
        size.check()?;
        Ok(Self::Datatype(Arc::new(Instance { datatype, args, size })))
    }

    fn size(&self) -> Size {
        match self {
            Self::Vector(of) | Self::Reference(of) | Self::MutableReference(of) => of.size,
            Self::Datatype(instance) => instance.size,
            Self::Param(_) => Size { depth: 1, nodes: 1, has_params: true },
            _ => Size { depth: 1, nodes: 1, has_params: false },
        }
    }

    /// Number of parts.
    pub(crate) fn nodes(&self) -> usize {
        self.size().nodes as usize
    }

    /// About how many bytes its name has when it is written out.
    pub(crate) fn tag_size(&self) -> u64 {
        match self {
            Self::Vector(of) | Self::Reference(of) | Self::MutableReference(of) => 1 + of.ty.tag_size(),
            Self::Datatype(instance) => {
                let Datatype { module, name, .. } = &*instance.datatype;
                let own = Address::LENGTH + module.as_str().len() + name.as_str().len();
                own as u64 + instance.args.iter().map(Self::tag_size).sum::<u64>()
            }
            _ => 1,
        }
    }

    /// This type with `args` in the place of type parameters.
    pub(crate) fn substitute(&self, args: &[Self]) -> Result<Self, VmError> {
        if !self.size().has_params {
            return Ok(self.clone());
        }
        match self {
            Self::Param(index) => args
                .get(usize::from(*index))
                .cloned()
                .ok_or_else(|| VmError::TypeArguments("there are too few".into())),
            Self::Vector(of) => Self::vector(of.ty.substitute(args)?),
            Self::Reference(of) => Self::reference(of.ty.substitute(args)?),
            Self::MutableReference(of) => Self::mutable_reference(of.ty.substitute(args)?),
            Self::Datatype(instance) => {
                let args = instance.args.iter().map(|arg| arg.substitute(args)).collect::<Result<_, _>>()?;
                Self::datatype(Arc::clone(&instance.datatype), args)
            }
            plain => Ok(plain.clone()),
        }
    }

    /// What a reference refers to, or the type itself.
    pub(crate) fn referent(&self) -> &Self {
        match self {
            Self::Reference(of) | Self::MutableReference(of) => &of.ty,
            plain => plain,
        }
    }

    /// Whether it is a reference.
    pub(crate) fn is_reference(&self) -> bool {
        matches!(self, Self::Reference(_) | Self::MutableReference(_))
    }

    /// Abilities of values. Type parameters count as having none.
    pub(crate) fn abilities(&self) -> u8 {
        match self {
            Self::Signer => DROP,
            Self::Reference(_) | Self::MutableReference(_) => COPY | DROP,
            Self::Param(_) => 0,
            Self::Vector(of) => of.ty.abilities() & (COPY | DROP | STORE),
            Self::Datatype(instance) => {
                let Instance { datatype, args, .. } = &**instance;
                let mut abilities = datatype.abilities;
                for (param, arg) in datatype.params.iter().zip(args) {
                    if !param.phantom {
                        let arg = arg.abilities();
                        // `key` of the whole needs `store` of its parts.
                        let keeps = (arg & (COPY | DROP | STORE)) | if arg & STORE != 0 { KEY } else { 0 };
                        abilities &= keeps;
                    }
                }
                abilities
            }
            _ => COPY | DROP | STORE,
        }
    }

    /// Whether values have all of these abilities.
    pub(crate) fn has(&self, abilities: u8) -> bool {
        self.abilities() & abilities == abilities
    }

    pub(crate) fn ability_set(&self) -> AbilitySet {
        let bits = self.abilities();
        AbilitySet {
            copy: bits & COPY != 0,
            drop: bits & DROP != 0,
            store: bits & STORE != 0,
            key: bits & KEY != 0,
        }
    }

    /// The type as the chain writes it. `None` for references and type parameters.
    pub(crate) fn tag(&self) -> Option<TypeTag> {
        Some(match self {
            Self::Bool => TypeTag::Bool,
            Self::U8 => TypeTag::U8,
            Self::U16 => TypeTag::U16,
            Self::U32 => TypeTag::U32,
            Self::U64 => TypeTag::U64,
            Self::U128 => TypeTag::U128,
            Self::U256 => TypeTag::U256,
            Self::Address => TypeTag::Address,
            Self::Signer => TypeTag::Signer,
            Self::Vector(of) => TypeTag::Vector(Box::new(of.ty.tag()?)),
            Self::Datatype(_) => TypeTag::Struct(Box::new(self.struct_tag()?)),
            Self::Param(_) | Self::Reference(_) | Self::MutableReference(_) => return None,
        })
    }

    /// The type of a struct or enum as the chain writes it.
    pub(crate) fn struct_tag(&self) -> Option<StructTag> {
        let Self::Datatype(instance) = self else { return None };
        let Instance { datatype, args, .. } = &**instance;
        let args = args.iter().map(Self::tag).collect::<Option<_>>()?;
        Some(StructTag::new(datatype.origin, datatype.module.clone(), datatype.name.clone(), args))
    }

    /// The struct or enum, if it is one.
    pub(crate) fn as_datatype(&self) -> Option<&Datatype> {
        match self {
            Self::Datatype(instance) => Some(&instance.datatype),
            _ => None,
        }
    }
}

impl Of {
    fn new(ty: Type) -> Result<Arc<Self>, VmError> {
        let inner = ty.size();
        let size = Size { depth: inner.depth + 1, nodes: inner.nodes.saturating_add(1), ..inner };
        size.check()?;
        Ok(Arc::new(Self { ty, size }))
    }
}

impl Size {
    fn check(self) -> Result<(), VmError> {
        if self.depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return Err(VmError::OutOf(Resource::TypeDepth));
        }
        Ok(())
    }
}
