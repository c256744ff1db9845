export default { serverExternalPackages: ["howdah", "pg"] };
