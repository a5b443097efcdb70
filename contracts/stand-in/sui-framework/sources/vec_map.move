// Written by hand for `tools/test.mjs`: what our contracts and their tests use of the framework's module of this name, no more.
module sui::vec_map;

public struct Entry<K: copy, V> has copy, drop, store { key: K, value: V }

public struct VecMap<K: copy, V> has copy, drop, store { contents: vector<Entry<K, V>> }
