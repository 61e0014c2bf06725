// JupyterLab's way in: a container of module federation, written by hand (docs/decisions/0010-jupyter.md).
// JupyterLab hands over the modules it shares, and asks for "./extension".
(() => {
  const NAME = "chunkserve";
  const ENDINGS = [".h5", ".hdf5", ".hdf", ".he5", ".nxs", ".nx5", ".nexus", ".cxi", ".nc", ".nc4"];
  let shared;

  const load = async (name) => {
    const [found] = Object.values(shared[name]);
    return (await found.get())();
  };

  /** Whether the server has the proxy, and the proxy knows us: else files are left to others. */
  const isThere = async (base) => {
    const reply = await fetch(`${base}server-proxy/servers-info`).catch(() => undefined);
    if (!reply?.ok) return false;
    return (await reply.json()).server_processes.some(({ name }) => name === NAME);
  };

  const extension = async () => {
    const [{ PageConfig }, { ABCWidgetFactory, DocumentWidget, TextModelFactory }, { Widget }] = await Promise.all(
      ["@jupyterlab/coreutils", "@jupyterlab/docregistry", "@lumino/widgets"].map(load),
    );
    const base = PageConfig.getBaseUrl();

    /** A model of a file that is never read: it may have terabytes. */
    class UnreadFactory extends TextModelFactory {
      get name() {
        return NAME;
      }
      get fileFormat() {
        return null;
      }
    }

    class ViewerFactory extends ABCWidgetFactory {
      constructor(contents, options) {
        super(options);
        this.contents = contents;
      }
      createNewWidget(context) {
        const path = this.contents.localPath(context.path).split("/").map(encodeURIComponent).join("/");
        const frame = document.createElement("iframe");
        frame.src = `${base}${NAME}/embed/${path}?as=h5web`;
        frame.title = context.path;
        frame.style.cssText = "border: 0; width: 100%; height: 100%; background: var(--jp-layout-color0)";
        const content = new Widget();
        content.node.append(frame);
        return new DocumentWidget({ content, context });
      }
    }

    return {
      id: `${NAME}:files`,
      autoStart: true,
      activate: async (app) => {
        if (!(await isThere(base))) return;
        const registry = app.docRegistry;
        registry.addModelFactory(new UnreadFactory());
        registry.addFileType({
          name: NAME,
          displayName: "HDF5",
          extensions: ENDINGS,
          mimeTypes: ["application/x-hdf5"],
          contentType: "file",
          fileFormat: "base64",
        });
        registry.addWidgetFactory(
          new ViewerFactory(app.serviceManager.contents, {
            name: NAME,
            label: "H5Web (chunkserve)",
            modelName: NAME,
            fileTypes: [NAME],
            defaultFor: [NAME],
            readOnly: true,
          }),
        );
      },
    };
  };

  (window._JUPYTERLAB ??= {})[NAME] = {
    init: (scope) => {
      shared = scope;
    },
    get: async (module) => {
      if (module !== "./extension") throw new Error(`${NAME} has no ${module}`);
      const found = await extension();
      return () => ({ __esModule: true, default: found });
    },
  };
})();
