// A scene follows numbered changes; what has to be drawn again is noted while they are applied.

const SECTIONS = ["nodes", "owners", "services", "pods", "groups", "edges", "mismatches", "resources", "links", "limits", "components"];
const MANY_AT_ONCE = 10;
/** What of an entry has to do with where it stands. Sections that are not here are placed again on any change. */
const PLACED = {
  nodes: (node) => `${node.slot} ${node.control_plane}`,
  owners: (owner) => owner.slot,
  services: (service) => service.slot,
  pods: (pod) => `${pod.node} ${pod.slot} ${pod.heir}`,
  edges: (edge) => `${edge.service} ${edge.pod}`,
  components: (component) => component.slot,
};

function emptyScene() {
  return { ...Object.fromEntries(SECTIONS.map((name) => [name, {}])), layers: {}, story: [], recovery: null };
}

/** What changed since the last drawing. `all`: draw everything; `places`: geometry and lines; else the keys alone. */
class News {
  constructor() {
    this.clear();
  }

  clear() {
    this.all = this.places = this.scene = this.story = this.owned = false;
    this.keys = Object.fromEntries(SECTIONS.map((name) => [name, new Set()]));
  }

  has(section, key) {
    return this.all || this.keys[section].has(key);
  }

  any(...sections) {
    return this.all || sections.some((name) => this.keys[name].size);
  }

  note(section, key, before, after) {
    this.keys[section].add(key);
    const placed = PLACED[section];
    if (!before || !after || !placed || placed(before) !== placed(after)) this.places = true;
    if (section === "owners" && (!before || !after)) this.owned = true; // every Pod says whose it is
  }
}

/** Apply one difference to a scene, in place, as `patched` of k8slab.graph.difference does. */
function applyChanges(scene, { set = {}, drop = {} }, news) {
  for (const [name, keys] of Object.entries(drop)) {
    if (name === "story") {
      scene.story = scene.story.filter((line) => !keys.some((id) => String(id) === String(line.id)));
      if (news) news.story = true;
    }
    if (SECTIONS.includes(name) && scene[name]) for (const key of keys) {
      news?.note(name, key, scene[name][key], null);
      delete scene[name][key];
    }
  }
  for (const [name, values] of Object.entries(set)) {
    if (SECTIONS.includes(name)) {
      const section = scene[name] ??= {};
      for (const [key, value] of Object.entries(values)) {
        news?.note(name, key, section[key], value);
        section[key] = value;
      }
    } else if (name === "story") {
      scene.story = [...scene.story, ...Object.values(values)];
      if (news) news.story = true;
    } else if (name === "scene") {
      Object.assign(scene, values);
      if (news) news.scene = true;
    }
  }
}
