export default function View(_: object) { return <p>soon</p>; }
