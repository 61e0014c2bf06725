// The app of @h5web/app as it is: ?url=http://.../h5grove&file=run.h5&path=/entry[&wide]
import '@h5web/app/styles.css';
import './main.css';
import { App, enableBigIntSerialization, H5GroveProvider } from '@h5web/app';
import { createRoot } from 'react-dom/client';

enableBigIntSerialization();
const asked = new URLSearchParams(location.search);

createRoot(document.getElementById('root')).render(
  <H5GroveProvider url={asked.get('url')} filepath={asked.get('file')}>
    <App initialPath={asked.get('path') ?? '/'} sidebarOpen={!asked.has('wide')} />
  </H5GroveProvider>,
);
